//! `nsmc explain`: one page per code.

use super::Status;
use super::args::ExplainArgs;
use super::terminal;
use crate::base::diag::did_you_mean;

macro_rules! pages {
    ($($code:literal)*) => {
        /// Code and page of everything that has one, ascending.
        pub const PAGES: &[(&str, &str)] = &[$(($code, include_str!(concat!("../base/explain/", $code, ".md")))),*];
    };
}

pages! {
    "E0001" "E0002" "E0003" "E0004" "E0005" "E0006" "E0007" "E0008" "E0009" "E0010" "E0011" "E0012" "E0013" "E0014"
    "E0015" "E0099"
    "E0101" "E0102" "E0103" "E0104" "E0105" "E0106" "E0107" "E0108" "E0109" "E0110" "E0111"
    "E0201" "E0202" "E0203" "E0204" "E0205" "E0206" "E0207" "E0208" "E0209"
    "E0220" "E0221" "E0222" "E0223"
    "E0301" "E0302" "E0303" "E0304" "E0305" "E0306" "E0307" "E0308" "E0309" "E0310" "E0311"
    "E0401" "E0402" "E0403" "E0404" "E0405" "E0406" "E0408" "E0409" "E0410" "E0411" "E0412" "E0414"
    "E0415" "E0416" "E0430"
    "E0501" "E0502" "E0503" "E0504" "E0505" "E0506" "E0507" "E0508" "E0509" "E0510" "E0511" "E0512" "E0513" "E0514"
    "E0515" "E0516" "E0518" "E0519" "E0520" "E0521" "E0530" "E0531" "E0532" "E0534" "E0540" "E0541" "E0542" "E0543"
    "E0544"
    "E0551" "E0552" "E0553" "E0554" "E0555" "E0557" "E0558"
    "E0601" "E0602" "E0603" "E0604" "E0605" "E0606" "E0607" "E0620" "E0630" "E0631" "E0632"
    "E0701" "E0702" "E0703" "E0704" "E0705" "E0706" "E0708" "E0709"
    "E0801" "E0802" "E0803" "E0804" "E0805" "E0806" "E0807" "E0808" "E0809"
    "E1001" "E1011"
    "E1101" "E1102" "E1103" "E1104" "E1105" "E1106" "E1107" "E1108" "E1109"
    "E1201" "E1202" "E1203"
    "W0407" "W0413"
    "W0517" "W0533" "W0556" "W0559"
    "W1002" "W1003" "W1004" "W1005" "W1006" "W1007" "W1008" "W1009" "W1010" "W1012"
}

/// The page of a code, in any case.
pub(super) fn page(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(c, _)| c.eq_ignore_ascii_case(code)).map(|(_, text)| *text)
}

/// All pages as one of Markdown, for the guide: their headings are one level down.
pub fn markdown() -> String {
    let mut out =
        String::from("# Errors and warnings\n\nEvery code that `nsmc` gives, as `nsmc explain CODE` prints it.\n");
    for (_, text) in PAGES {
        out.push('\n');
        let mut fenced = false;
        for line in text.lines() {
            fenced ^= line.starts_with("```");
            // A comment of a shell or of CSV begins like a heading.
            if line.starts_with('#') && !fenced {
                out.push('#');
            }
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// `explain CODE` prints its page; without a code, one line for each, or all pages.
pub(super) fn explain(args: &ExplainArgs) -> Status {
    if args.all {
        match args.markdown {
            true => terminal::out(&markdown()),
            false => PAGES.iter().for_each(|(_, text)| terminal::out(&format!("{text}\n"))),
        }
        return Status::Fine;
    }
    let Some(code) = args.code.as_deref() else {
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
