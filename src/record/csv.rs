//! Columns of numbers from comma-separated text: edge lists and tables of a user.

use thiserror::Error;

/// Why a text is no table of numbers; `line` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CsvError {
    #[error("line {line}: `{text}` is not a number")]
    NotANumber { line: usize, text: String },
    #[error("line {line}: {found} fields where {expected} are expected")]
    Ragged { line: usize, found: usize, expected: usize },
    #[error("line {line}: a second column is called `{name}`")]
    Duplicate { line: usize, name: String },
}

impl CsvError {
    pub fn line(&self) -> usize {
        match self {
            CsvError::NotANumber { line, .. } | CsvError::Ragged { line, .. } | CsvError::Duplicate { line, .. } => {
                *line
            }
        }
    }
}

/// Reads columns with their names, in the order of the file.
///
/// Fields are parted by commas; white space and double quotes around them do not count. Lines that are blank or begin
/// with `#` are skipped. If no field of the first line is a number it is the header; without a header the columns are
/// called `column1`, `column2`, ... Numbers are finite decimals. An empty text has no columns.
pub fn read_csv_columns(text: &str) -> Result<Vec<(String, Vec<f64>)>, CsvError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
    for (k, line) in text.lines().enumerate() {
        let line_number = k + 1;
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let fields = line.split(',').map(|f| f.trim().trim_matches('"').trim());
        if columns.is_empty() {
            if fields.clone().all(|f| number(f).is_none()) {
                for name in fields {
                    if columns.iter().any(|(n, _)| n == name) {
                        return Err(CsvError::Duplicate { line: line_number, name: name.to_string() });
                    }
                    columns.push((name.to_string(), Vec::new()));
                }
                continue;
            }
            columns = (1..=fields.clone().count()).map(|k| (format!("column{k}"), Vec::new())).collect();
        }
        let found = fields.clone().count();
        if found != columns.len() {
            return Err(CsvError::Ragged { line: line_number, found, expected: columns.len() });
        }
        for (field, (_, values)) in fields.zip(&mut columns) {
            match number(field) {
                Some(v) => values.push(v),
                None => {
                    let text: String = field.chars().take(40).collect();
                    return Err(CsvError::NotANumber { line: line_number, text });
                }
            }
        }
    }
    Ok(columns)
}

/// A finite decimal; `nan` and `inf` are words.
fn number(field: &str) -> Option<f64> {
    field.parse::<f64>().ok().filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_names_the_columns() {
        let table = read_csv_columns("\u{feff}# edges\r\npre, post ,\"w\"\r\n\r\n0,1,0.5\r\n1,2,-1e-3\r\n").unwrap();
        assert_eq!(
            table,
            [("pre".into(), vec![0.0, 1.0]), ("post".into(), vec![1.0, 2.0]), ("w".into(), vec![0.5, -0.001])]
        );
    }

    #[test]
    fn without_a_header_columns_are_counted() {
        let table = read_csv_columns("0,1\n2,3").unwrap();
        assert_eq!(table, [("column1".into(), vec![0.0, 2.0]), ("column2".into(), vec![1.0, 3.0])]);
        assert_eq!(read_csv_columns("# nothing\n\n"), Ok(Vec::new()));
        assert!(read_csv_columns("a,b").unwrap()[1].1.is_empty());
    }

    #[test]
    fn errors_say_the_line() {
        let cases = [
            ("a,b\n1,2\n\n3", CsvError::Ragged { line: 4, found: 1, expected: 2 }),
            ("1,2\n3,x", CsvError::NotANumber { line: 2, text: "x".into() }),
            ("1,x\n3,4", CsvError::NotANumber { line: 1, text: "x".into() }),
            ("a\nnan", CsvError::NotANumber { line: 2, text: "nan".into() }),
            ("a,b\n1,", CsvError::NotANumber { line: 2, text: String::new() }),
            ("#\na,a\n1,2", CsvError::Duplicate { line: 2, name: "a".into() }),
        ];
        for (text, error) in cases {
            assert_eq!(read_csv_columns(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn columns_are_of_one_length(text in "[a0-9,.#e \n\r\"-]{0,60}") {
            if let Ok(columns) = read_csv_columns(&text) {
                prop_assert!(columns.windows(2).all(|w| w[0].1.len() == w[1].1.len()));
            }
        }

        #[test]
        fn numbers_come_back(rows in prop::collection::vec((-1e9_f64..1e9, 0_u32..100), 1..20)) {
            let text: String = rows.iter().map(|(x, n)| format!("{x},{n}\n")).collect();
            let columns = read_csv_columns(&text).unwrap();
            prop_assert_eq!(&columns[0].1, &rows.iter().map(|r| r.0).collect::<Vec<_>>());
        }
    }
}
