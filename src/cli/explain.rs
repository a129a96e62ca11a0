//! `nsmc explain`: one page per code.

use super::Status;
use super::terminal::{self, Terminal};
use crate::base::diag::did_you_mean;

macro_rules! pages {
    ($($code:literal)*) => {
        /// Code and page of everything that has one, ascending.
        pub const PAGES: &[(&str, &str)] = &[$(($code, include_str!(concat!("../base/explain/", $code, ".md")))),*];
    };
}

pages! {
    "E0701" "E0702" "E0703" "E0704"
    "E0801" "E0802" "E0803" "E0804" "E0805"
}

/// The page of a code, in any case.
pub(super) fn page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(c, _)| c.eq_ignore_ascii_case(code)).map(|(_, text)| *text)
}

/// `explain CODE` prints its page; without a code, one line for each.
pub(super) fn explain(code: Option<&str>, _: &Terminal) -> Status {
    let Some(code) = code else {
        PAGES.iter().for_each(|(code, text)| terminal::out(&format!("{code}  {}\n", title(text))));
        return Status::Fine;
    };
    if let Some(text) = page(code) {
        terminal::out(text);
        return Status::Fine;
    }
    let known = PAGES.iter().map(|(c, _)| *c);
    let upper = code.to_ascii_uppercase();
    let hint = match did_you_mean(&upper, known) {
        Some(near) => format!("did you mean {near}?"),
        None => "`nsmc explain` lists all codes".to_string(),
    };
    terminal::err(&format!("nsmc: there is no page about `{code}`; {hint}\n"));
    Status::Usage
}

/// The first line of a page, without its `#` and its code.
fn title(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
    line.split_once(": ").map_or(line, |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_in_order_and_begin_with_their_code() {
        assert!(PAGES.windows(2).all(|w| w[0].0 < w[1].0));
        for (code, text) in PAGES {
            assert!(text.starts_with(&format!("# {code}: ")), "{code}");
            assert!(title(text).len() > 5 && text.ends_with('\n'), "{code}");
        }
    }

    #[test]
    fn the_codes_of_a_run_and_of_the_command_line_have_pages() {
        for code in crate::execute::RUN_CODES.iter().chain(&crate::cli::CLI_CODES) {
            assert!(page(code.0).is_some(), "{}", code.0);
            assert_eq!(page(&code.0.to_ascii_lowercase()), page(code.0));
        }
    }
}
