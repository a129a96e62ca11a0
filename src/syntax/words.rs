//! The grammar's rules in the words of a message.

use super::lexical::Body;
use super::parser::Rule;

/// How much a rule helps in "expected ...": the lower ranks stand first, the last two are left out if others remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Mark,
    Word,
    Part,
    Item,
    Operator,
    /// Helps nobody: what could attach to the word before, looks ahead, pieces.
    Silent,
}

pub(super) fn words(rule: Rule) -> (Rank, String) {
    use Rank::*;
    let name = format!("{rule:?}");
    if let Some(word) = name.strip_prefix("kw_") {
        return (Word, format!("`{word}`"));
    }
    let (rank, text) = match rule {
        Rule::semi => (Mark, "`;`"),
        Rule::comma => (Mark, "`,`"),
        Rule::colon => (Mark, "`:`"),
        Rule::eq => (Mark, "`=`"),
        Rule::assign_op => (Mark, "`=` (or `+=`, `-=`, `*=`, `/=`)"),
        Rule::set_op => (Mark, "`=` (or `+=`, `*=`)"),
        Rule::open_brace => (Mark, "`{`"),
        Rule::close_brace => (Mark, "`}`"),
        Rule::open_paren => (Mark, "`(`"),
        Rule::close_paren => (Mark, "`)`"),
        Rule::open_bracket => (Mark, "`[`"),
        Rule::close_bracket => (Mark, "`]`"),
        Rule::range_op => (Mark, "`..`"),
        Rule::arrow => (Mark, "`->`"),
        Rule::couple_op => (Mark, "`<->`"),
        Rule::plus => (Mark, "`+`"),

        Rule::name | Rule::record_what => (Part, "a name"),
        Rule::path => (Part, "a name or a path such as `a.b`"),
        Rule::string => (Part, "a string in double quotes"),
        Rule::number => (Part, "a number"),
        Rule::dim_power => (Part, "a power such as `2` or `-1`"),
        Rule::use_source => (Part, "a path such as `std.neurons` or a string"),
        Rule::use_select | Rule::use_many => (Part, "a name or a list of names in parentheses"),
        Rule::inst => (Part, "a model such as `LifDelta(tau_m = 20 ms)`"),
        Rule::dim | Rule::dim_factor | Rule::dim_one => (Part, "a dimension such as `voltage`"),
        Rule::binding => (Part, "a name to declare"),
        Rule::bounds => (Word, "`in`"),
        Rule::axes => (Part, "a size in brackets"),
        Rule::axis => (Part, "a size or `name: size`"),
        Rule::formals => (Part, "`(` and the names it takes"),
        Rule::formal => (Part, "a name"),
        Rule::loop_range => (Part, "a loop such as `i in 0 .. n`"),
        Rule::range => (Part, "a range such as `0 .. n` or a list"),
        Rule::ends => (Part, "a population, receptor or port, or several in parentheses"),
        Rule::block => (Mark, "`{`"),
        Rule::members | Rule::circuits | Rule::clauses | Rule::actions => (Mark, "`{`"),
        Rule::overrides | Rule::population_body => (Mark, "`{`"),
        Rule::arg | Rule::named_arg => (Part, "an argument"),
        Rule::slot => (Part, "an index or a range"),
        Rule::expr | Rule::cond | Rule::logic | Rule::test | Rule::sum | Rule::term => (Part, "an expression"),
        Rule::postfix | Rule::primary | Rule::quantity => (Part, "an expression"),
        Rule::truth | Rule::list | Rule::paren => (Part, "an expression"),
        Rule::matrix_cell => (Part, "`R`, `B`, `->`, `<-` or `.`"),
        Rule::matrix_row => (Word, "`row`"),
        Rule::columns => (Word, "`columns`"),
        Rule::phase => (Word, "`phase`"),
        Rule::at_edge => (Word, "`start` or `end`"),
        Rule::port_side => (Word, "`input` or `output`"),
        Rule::trace_side => (Word, "`pre` or `post`"),
        Rule::switch_way => (Word, "`on` or `off`"),
        Rule::spike_when => (Word, "`when`"),
        Rule::spike_at => (Word, "`at`"),
        Rule::connect_with => (Word, "`with`"),
        Rule::of_places => (Word, "`of`"),
        Rule::modifier => (Word, "`where` (or `by`, `during`, `over`)"),
        Rule::where_part => (Word, "`where`"),
        Rule::by_part => (Word, "`by`"),
        Rule::during_part => (Word, "`during`"),
        Rule::over_part => (Word, "`over`"),
        Rule::during_to => (Mark, "`..`"),
        Rule::between => (Word, "`in`"),
        Rule::elif | Rule::else_part | Rule::circuit_elif | Rule::circuit_else => (Word, "`else`"),
        Rule::delay_axonal => (Word, "`axonal`"),
        Rule::delay_dendritic => (Word, "`dendritic`"),

        Rule::file | Rule::item => (Item, "an item of a file (`use`, `let`, `neuron`, `network`, `experiment`, ..)"),
        Rule::member | Rule::piece_members => (Item, "a model member"),
        Rule::plasticity_item | Rule::piece_plasticity => (Item, "an item of a plasticity rule"),
        Rule::circuit | Rule::piece_circuits => (Item, "an item of a network or region"),
        Rule::experiment_item | Rule::piece_experiment => (Item, "an experiment item or statement"),
        Rule::conclude_item => (Item, "`let`, `expect` or `plot`"),
        Rule::stmt => (Item, "a statement"),
        Rule::action => (Item, "a sleep action"),
        Rule::sleep_header => (Item, "`param` or `let`"),
        Rule::clause => (Item, "a projection clause (`connect`, `weight`, `delay`, `gain`, `plasticity`)"),
        Rule::population_clause => (Item, "a population member (`position`, `active`, `mixed`, `exempt`)"),
        Rule::override_item => (Item, "`override`"),
        Rule::use_item => (Word, "`use`"),
        Rule::let_item => (Word, "`let`"),
        Rule::labels_item => (Word, "`labels`"),
        Rule::param_item => (Word, "`param`"),
        Rule::needs_item => (Word, "`needs`"),
        Rule::needs_modulator | Rule::needs_event | Rule::needs_value => {
            (Part, "`modulator`, `event` or a place such as `post.V`")
        }
        Rule::model | Rule::model_head | Rule::model_kind => (Word, "`neuron`, `source`, `modulator` or `environment`"),
        Rule::plasticity | Rule::plasticity_head | Rule::plasticity_clause | Rule::switch => (Word, "`plasticity`"),
        Rule::network | Rule::network_head | Rule::network_kind => (Word, "`network` or `region`"),
        Rule::sleep | Rule::sleep_stmt => (Word, "`sleep`"),
        Rule::experiment | Rule::experiment_head => (Word, "`experiment`"),
        Rule::equation | Rule::own_rate | Rule::prime | Rule::leibniz => (Part, "an equation such as `x' = ..`"),
        Rule::own_equation | Rule::derivative => (Part, "an equation such as `x' = ..`"),
        Rule::state_item => (Word, "`state`"),
        Rule::level_item => (Word, "`level`"),
        Rule::noise_item => (Word, "`noise`"),
        Rule::event_item => (Word, "`event`"),
        Rule::input_item => (Word, "`input`"),
        Rule::output_item => (Word, "`output`"),
        Rule::receptor => (Word, "`receptor`"),
        Rule::spike => (Word, "`spike`"),
        Rule::refractory => (Word, "`refractory`"),
        Rule::integrate => (Word, "`integrate`"),
        Rule::every_item => (Word, "`every`"),
        Rule::on_item => (Word, "`on`"),
        Rule::compartment => (Word, "`compartment`"),
        Rule::couple => (Word, "`couple`"),
        Rule::member_for | Rule::circuit_for | Rule::for_stmt => (Word, "`for`"),
        Rule::trace_item => (Word, "`pre` or `post`"),
        Rule::synapse_item => (Word, "`synapse`"),
        Rule::weight_item | Rule::weight_clause => (Word, "`weight`"),
        Rule::regrow => (Word, "`regrow`"),
        Rule::dt_item => (Word, "`dt`"),
        Rule::source_item => (Word, "`source`"),
        Rule::modulator_item => (Word, "`modulator`"),
        Rule::drive_item => (Word, "`drive`"),
        Rule::sensor_item => (Word, "`sensor`"),
        Rule::actuator_item => (Word, "`actuator`"),
        Rule::port_item => (Word, "`port`"),
        Rule::function_item => (Word, "`function`"),
        Rule::circuit_if | Rule::if_stmt => (Word, "`if`"),
        Rule::region_item => (Word, "`region`"),
        Rule::population => (Word, "`population`"),
        Rule::position => (Word, "`position`"),
        Rule::active => (Word, "`active`"),
        Rule::mixed => (Word, "`mixed`"),
        Rule::exempt => (Word, "`exempt`"),
        Rule::projection => (Word, "`projection`"),
        Rule::connect => (Word, "`connect`"),
        Rule::delay_clause => (Word, "`delay`"),
        Rule::gain_clause => (Word, "`gain`"),
        Rule::matrix => (Word, "`matrix`"),
        Rule::memory => (Word, "`memory`"),
        Rule::kick => (Word, "`kick`"),
        Rule::at_item => (Word, "`at`"),
        Rule::replay => (Word, "`replay`"),
        Rule::seeds => (Word, "`seeds`"),
        Rule::sweep => (Word, "`sweep`"),
        Rule::environment_item => (Word, "`environment`"),
        Rule::record => (Word, "`record`"),
        Rule::plot => (Word, "`plot`"),
        Rule::conclude => (Word, "`conclude`"),
        Rule::expect => (Word, "`expect`"),
        Rule::declaration => (Item, "a declaration"),
        Rule::assign | Rule::assign_other => (Part, "an assignment"),
        Rule::var_item => (Word, "`var`"),
        Rule::deliver => (Word, "`deliver`"),
        Rule::remove => (Word, "`remove`"),
        Rule::simulate => (Word, "`simulate`"),
        Rule::set => (Word, "`set`"),
        Rule::update => (Word, "`update`"),
        Rule::downscale => (Word, "`downscale`"),
        Rule::reset => (Word, "`reset`"),
        Rule::step => (Word, "`step`"),
        Rule::emit => (Word, "`emit`"),
        Rule::measure => (Word, "`measure`"),
        Rule::repeat => (Word, "`repeat`"),

        Rule::sum_op | Rule::compare_op | Rule::logic_op | Rule::caret | Rule::minus => (Operator, "an operator"),
        Rule::dim_op | Rule::dim_caret => (Operator, "`*`, `/` or `^`"),
        Rule::EOI => (Silent, "the end of the file"),
        _ => (Silent, "more of the same"),
    };
    (rank, text.to_owned())
}

/// "`;`, `}` or a model member": what would have been right. `None` if nothing helpful is known.
pub(super) fn expected(rules: &[Rule], body: Body) -> Option<String> {
    let mut all: Vec<(Rank, String)> = rules.iter().map(|r| words(*r)).collect();
    if rules.contains(&Rule::EOI) && body != Body::File {
        // A piece cut out of a body ends where the body may end.
        all.push((Rank::Mark, "`}`".to_owned()));
    }
    if rules.contains(&Rule::open_paren) && rules.contains(&Rule::open_bracket) {
        // A call or an index could attach to the name before: true after every name, and no help.
        all.retain(|(_, text)| text != "`(`" && text != "`[`");
    }
    all.sort();
    all.dedup();
    let useful = |rank: Rank| all.iter().filter(|(r, _)| *r <= rank).map(|(_, t)| t.clone()).collect::<Vec<_>>();
    let mut list = useful(Rank::Item);
    if list.is_empty() {
        list = useful(Rank::Operator);
    }
    let last = list.pop()?;
    Some(if list.is_empty() { last } else { format!("{} or {last}", list.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule may be silent only on purpose.
    #[test]
    fn every_rule_has_its_words() {
        let silent = [
            "WHITESPACE",
            "COMMENT",
            "EOI",
            "wc",
            "reserved",
            "digits",
            "unit",
            "unit_letter",
            "unit_word",
            "unit_factor",
            "unit_power",
            "after_number",
            "dot",
            "bindings",
            "value",
            "equation_mark",
            "loops",
            "assign_mark",
            "stmt_opener",
            "field",
            "index",
            "call",
        ];
        for rule in Rule::all_rules() {
            let name = format!("{rule:?}");
            let is_silent = words(*rule).0 == Rank::Silent;
            assert_eq!(is_silent, silent.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn lists_read_like_a_sentence() {
        let rules = [Rule::close_brace, Rule::semi, Rule::sum_op, Rule::population_clause];
        let text = expected(&rules, Body::Circuit).expect("words for known rules");
        assert_eq!(text, "`;`, `}` or a population member (`position`, `active`, `mixed`, `exempt`)");
        assert_eq!(expected(&[Rule::sum_op], Body::File).as_deref(), Some("an operator"));
    }
}
