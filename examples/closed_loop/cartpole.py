"""Gymnasium's CartPole for `cartpole.nsm`: one JSON object a line, in and out."""
import json, sys, gymnasium
env = gymnasium.make("CartPole-v1")
for line in sys.stdin:
    asked = json.loads(line)
    if "reset" in asked:
        (seen, _), reward, over = env.reset(seed=asked["seed"]), 0.0, False
    else:
        seen, reward, fallen, late, _ = env.step(asked["action"])
        over = fallen or late
    print(json.dumps({"observation": seen.tolist(), "reward": reward, "done": over}), flush=True)
