//! Rows of a table that tell of the elements of one array of regions, as one row.

/// So many elements of an array have a row each; of more, one row tells of all.
const MOST: usize = 16;

/// Rows with the path that each is about, in order: those of a large array together, under the path without indices, where the first stood.
pub(super) fn together<T>(rows: impl Iterator<Item = (String, T)>) -> Vec<(String, Vec<T>)> {
    let mut groups: Vec<(String, Vec<(String, T)>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (path, row) in rows {
        let key = without_indices(&path);
        let at = *places.entry(key.clone()).or_insert(groups.len());
        if at == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[at].1.push((path, row));
    }
    let mut out = Vec::new();
    for (key, members) in groups {
        if members.len() > MOST {
            out.push((key, members.into_iter().map(|(_, row)| row).collect()));
        } else {
            out.extend(members.into_iter().map(|(path, row)| (path, vec![row])));
        }
    }
    out
}

/// `column[2, 3].E` becomes `column[..].E`.
fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        if !inside || c == ']' {
            out.push(c);
        }
        match c {
            '[' => {
                inside = true;
                out.push_str("..");
            }
            ']' => inside = false,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_array_is_one_row() {
        let paths = |n: usize| (0..n).map(|k| format!("c[{k}, 0].E->c[{}, 0].I", k + 1));
        let rows = |n: usize| together(std::iter::once("drive".to_string()).chain(paths(n)).map(|p| (p, 1)));
        let short = |(path, rows): &(String, Vec<i32>)| (path.clone(), rows.len());
        assert_eq!(rows(MOST).len(), 1 + MOST);
        assert_eq!(rows(MOST)[1].0, "c[0, 0].E->c[1, 0].I");
        let many: Vec<_> = rows(MOST + 1).iter().map(short).collect();
        assert_eq!(many, [("drive".to_string(), 1), ("c[..].E->c[..].I".to_string(), MOST + 1)]);
    }
}
