//! The page's looks, escaping, and the little Markdown that documentation is written in.

/// Light and dark by the reader's choice.
pub const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#ffffff;--ink:#1f2328;--muted:#656d76;--line:#d8dee4;--soft:#f6f8fa;--link:#0b5cad}\
@media(prefers-color-scheme:dark){:root{--bg:#15191f;--ink:#e6e9ee;--muted:#9aa4b0;--line:#343c46;--soft:#1d232b;--link:#6cb6ff}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--bg);color:var(--ink);\
font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
h1{font-size:1.7rem;margin:.2rem 0 1rem}h2{font-size:1.35rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}\
h3{font-size:1rem;margin:1.4rem 0 .4rem;color:var(--muted)}a{color:var(--link)}nav ul{columns:16rem;list-style:none;padding:0;margin:0}\
.kind{color:var(--muted);font-weight:400}code,pre{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
code{background:var(--soft);border-radius:4px;padding:.1em .3em}pre{background:var(--soft);border:1px solid var(--line);\
border-radius:8px;padding:.8rem 1rem;overflow-x:auto}pre code{background:none;padding:0}.wide{overflow-x:auto}\
table{border-collapse:collapse;min-width:50%}th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;\
border-bottom:1px solid var(--line)}th{font-weight:600;color:var(--muted);font-size:.85rem}\
.eq{overflow-x:auto;overflow-y:hidden;margin:.35rem 0}.eq math{text-align:left;margin-left:0}math{font-size:1.08em}\
figure{margin:1rem 0;overflow-x:auto}figure svg{max-width:100%;height:auto}\
.nest{border-left:3px solid var(--line);padding-left:1rem;margin:1rem 0}";

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Documentation: paragraphs, lists of lines that begin with `- `, text in backquotes.
pub(super) fn markdown(lines: &[String]) -> String {
    let mut out = String::new();
    for block in blocks(lines) {
        match block {
            Block::Text(text) => out.push_str(&format!("<p>{}</p>\n", inline(&text))),
            Block::List(items) => {
                out.push_str("<ul>\n");
                items.iter().for_each(|i| out.push_str(&format!("<li>{}</li>\n", inline(i))));
                out.push_str("</ul>\n");
            }
        }
    }
    out
}

/// What documentation says of a name: the item of a list that begins with it, `` - `tau_m`: membrane time constant``.
pub(super) fn said_of(lines: &[String], name: &str) -> String {
    let quoted = format!("`{name}`");
    for block in blocks(lines) {
        let Block::List(items) = block else { continue };
        for item in items {
            // One item may describe several groups: `a`, `b`: ...; `c`: ...
            for part in item.split("; ") {
                if let Some((names, text)) = part.split_once(": ")
                    && names.contains(&quoted)
                {
                    return inline(text.trim_end_matches('.'));
                }
            }
        }
    }
    String::new()
}

enum Block {
    Text(String),
    List(Vec<String>),
}

fn blocks(lines: &[String]) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let mut open = false;
    for line in lines {
        let text = line.trim();
        if text.is_empty() {
            open = false;
        } else if let Some(item) = text.strip_prefix("- ") {
            match out.last_mut() {
                Some(Block::List(items)) => items.push(item.to_string()),
                _ => out.push(Block::List(vec![item.to_string()])),
            }
            open = true;
        } else if open && let Some(last) = out.last_mut() {
            let before = match last {
                Block::Text(t) => t,
                // A list has an item as soon as there is a list.
                Block::List(items) => match items.last_mut() {
                    Some(item) => item,
                    None => continue,
                },
            };
            before.push(' ');
            before.push_str(text);
        } else {
            out.push(Block::Text(text.to_string()));
            open = true;
        }
    }
    out
}

fn inline(text: &str) -> String {
    let mut out = String::new();
    let parts: Vec<&str> = text.split('`').collect();
    let closed = parts.len() % 2 == 1;
    for (k, part) in parts.iter().enumerate() {
        match (k % 2 == 1, closed || k + 1 < parts.len()) {
            (true, true) => out.push_str(&format!("<code>{}</code>", escape(part))),
            // A backquote without its second one is a backquote.
            (true, false) => out.push_str(&format!("`{}", escape(part))),
            (false, _) => out.push_str(&escape(part)),
        }
    }
    out
}
