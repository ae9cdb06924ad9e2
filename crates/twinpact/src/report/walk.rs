//! The walk over the organisations. Where there is room each organisation is a column; on a narrow
//! screen the twins follow each other, each below the one that led to it.

use super::Hop;
use super::svg::{Size, drawing, escaped, line, path, text};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How high a twin is drawn, and how far below the one before it.
const BOX: f64 = 40.0;
const STEP: f64 = 58.0;
/// Where the twins begin below the names of the organisations.
const TOP: f64 = 36.0;
/// What stands between two columns: a predicate and an arrow.
const GAP: f64 = 120.0;
/// How far a twin stands to the right of the one that led to it, on a narrow screen.
const INDENT: f64 = 22.0;
/// The most organisations whose columns are put in the order with the shortest links.
const MAX_ORDERED: usize = 6;

type Twin<'a> = (&'a str, &'a str);

fn ends(hop: &Hop) -> [Twin<'_>; 2] {
    [(hop.from.0.as_str(), hop.from.1.as_str()), (hop.to.0.as_str(), hop.to.1.as_str())]
}

pub(super) fn draw(hops: &[Hop], size: Size) -> String {
    let owners = ordered(hops);
    let (out, height, twins) = match size.is_narrow() {
        true => tree(hops, size),
        false => columns(hops, &owners, size),
    };
    let title = format!("{} links between {twins} twins of {}", hops.len(), owners.join(", "));
    drawing(Size { width: size.width, height }, &title, &out)
}

/// The organisations in the order in which the links between them are shortest.
fn ordered(hops: &[Hop]) -> Vec<&str> {
    let mut met: Vec<&str> = Vec::new();
    for (_, owner) in hops.iter().flat_map(ends) {
        if !met.contains(&owner) {
            met.push(owner);
        }
    }
    if met.len() > MAX_ORDERED {
        return met;
    }
    let length = |order: &[&str]| -> usize {
        let column = |owner: &str| order.iter().position(|one| *one == owner).unwrap_or_default();
        hops.iter().map(|hop| column(&hop.from.1).abs_diff(column(&hop.to.1)).pow(2)).sum()
    };
    let mut orders = vec![Vec::new()];
    for owner in &met {
        let longer = orders.iter().flat_map(|order: &Vec<&str>| {
            (0..=order.len()).map(|at| {
                let mut order = order.clone();
                order.insert(at, *owner);
                order
            })
        });
        orders = longer.collect();
    }
    orders.into_iter().min_by_key(|order| length(order)).unwrap_or(met)
}

/// The drawing, its height, and how many twins it has.
fn columns(hops: &[Hop], owners: &[&str], size: Size) -> (String, f64, usize) {
    let mut used = vec![0usize; owners.len()];
    let mut places: BTreeMap<Twin<'_>, (usize, usize)> = BTreeMap::new();
    for (twin, owner) in hops.iter().flat_map(ends) {
        let column = owners.iter().position(|one| *one == owner).unwrap_or_default();
        if let Some(row) = used.get_mut(column)
            && !places.contains_key(&(twin, owner))
        {
            places.insert((twin, owner), (column, *row));
            *row += 1;
        }
    }
    let count = owners.len().max(1) as f64;
    let width = (size.width - GAP * (count - 1.0) - 2.0) / count;
    let corner = |(column, row): (usize, usize)| {
        (1.0 + column as f64 * (width + GAP), TOP + row as f64 * STEP)
    };
    let mut out = String::new();
    for (column, owner) in owners.iter().enumerate() {
        let (left, top) = corner((column, 0));
        text(&mut out, "soft", (left, top - 12.0), "start", &short(owner, width));
    }
    let mut tags = String::new();
    for hop in hops {
        let corners = ends(hop).map(|end| places.get(&end).map(|place| corner(*place)));
        if let [Some(from), Some(to)] = corners {
            link((&mut out, &mut tags), (from, to), width, &hop.predicate);
        }
    }
    // No line goes through a word.
    out.push_str(&tags);
    for ((twin, _), place) in &places {
        let (left, top) = corner(*place);
        twin_box(&mut out, (left, top), width);
        text(&mut out, "", (left + 10.0, top + 25.0), "start", &short(twin, width - 20.0));
    }
    let rows = used.iter().copied().max().unwrap_or_default();
    (out, TOP + rows as f64 * STEP, places.len())
}

/// The same as a tree, from the first twin on: each twin once, below the one that led to it.
fn tree(hops: &[Hop], size: Size) -> (String, f64, usize) {
    let mut shown: Vec<(Twin<'_>, usize, String, usize)> = Vec::new();
    let first = hops.first().map(|hop| ends(hop)[1]);
    let mut ahead: Vec<(Twin<'_>, usize, String, usize)> =
        first.into_iter().map(|twin| (twin, 0, String::new(), 0)).collect();
    while let Some((twin, depth, said, parent)) = ahead.pop() {
        if shown.iter().any(|(known, ..)| *known == twin) {
            continue;
        }
        let row = shown.len();
        shown.push((twin, depth, said, parent));
        // Backwards, so that they come out in the order of the walk.
        for hop in hops.iter().rev() {
            let [from, to] = ends(hop);
            match (from == twin, to == twin) {
                (true, false) => {
                    ahead.push((to, depth + 1, format!("it is {} this", hop.predicate), row));
                }
                (false, true) => {
                    ahead.push((from, depth + 1, format!("this is {} it", hop.predicate), row));
                }
                _ => {}
            }
        }
    }
    let left = |depth: usize| 1.0 + INDENT * depth.min(8) as f64;
    let top = |row: usize| 2.0 + row as f64 * (BOX + 24.0);
    let mut out = String::new();
    for (row, ((twin, owner), depth, said, parent)) in shown.iter().enumerate() {
        let (x, y) = (left(*depth), top(row));
        let width = size.width - x - 1.0;
        if *depth > 0 {
            let from = (left(depth - 1) + 9.0, top(*parent) + BOX);
            let bend = (from.0, y + BOX / 2.0);
            line(&mut out, "link", from, bend);
            line(&mut out, "link", bend, (x, bend.1));
        }
        twin_box(&mut out, (x, y), width);
        text(&mut out, "", (x + 10.0, y + 17.0), "start", &short(twin, width - 20.0));
        let below = if said.is_empty() { (*owner).to_owned() } else { format!("{owner}: {said}") };
        text(&mut out, "soft", (x + 10.0, y + 34.0), "start", &short(&below, width - 20.0));
    }
    (out, top(shown.len()), shown.len())
}

fn twin_box(out: &mut String, (left, top): (f64, f64), width: f64) {
    let _ = write!(
        out,
        "<rect class=\"box\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BOX}\" \
         rx=\"5\"/>"
    );
}

/// A line between two twins with an arrow at its end, and the predicate above it.
fn link(
    (out, tags): (&mut String, &mut String),
    (from, to): ((f64, f64), (f64, f64)),
    width: f64,
    predicate: &str,
) {
    let middle = BOX / 2.0;
    let (start, end) = if from.0 < to.0 {
        ((from.0 + width, from.1 + middle), (to.0, to.1 + middle))
    } else if from.0 > to.0 {
        ((from.0, from.1 + middle), (to.0 + width, to.1 + middle))
    } else {
        // Within one column, along its edge.
        let (out_of, into) = if from.1 < to.1 { (BOX, 0.0) } else { (0.0, BOX) };
        ((from.0 + 24.0, from.1 + out_of), (to.0 + 24.0, to.1 + into))
    };
    path(out, "link", [(true, start.0, start.1), (false, end.0, end.1)].into_iter());
    arrow(out, start, end);
    if from.0 != to.0 {
        let place = (f64::midpoint(start.0, end.0), f64::midpoint(start.1, end.1) - 7.0);
        text(tags, "tag", place, "middle", predicate);
    }
}

fn arrow(out: &mut String, start: (f64, f64), end: (f64, f64)) {
    let (dx, dy) = (end.0 - start.0, end.1 - start.1);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let back = (end.0 - 9.0 * ux, end.1 - 9.0 * uy);
    let _ = write!(
        out,
        "<polygon class=\"head\" points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\"/>",
        end.0,
        end.1,
        back.0 - 4.5 * uy,
        back.1 + 4.5 * ux,
        back.0 + 4.5 * uy,
        back.1 - 4.5 * ux
    );
}

/// As much of it as fits, the end first: the ends of IRIs differ.
fn short(words: &str, width: f64) -> String {
    let most = ((width / 7.6) as usize).max(4);
    let count = words.chars().count();
    match count <= most {
        true => words.to_owned(),
        false => format!("…{}", words.chars().skip(count - most + 1).collect::<String>()),
    }
}

/// The same in words.
pub(super) fn table(hops: &[Hop]) -> String {
    let mut out = String::from(
        "<table><caption>Each link as its organisation showed it.</caption><thead><tr>\
         <th scope=\"col\">twin</th><th scope=\"col\">is</th><th scope=\"col\">of</th>\
         <th scope=\"col\">said by</th></tr></thead><tbody>",
    );
    for hop in hops {
        let _ = write!(
            out,
            "<tr><td>{}</td><td data-name=\"is\">{}</td><td data-name=\"of\">{}</td>\
             <td data-name=\"said by\">{}, {}</td></tr>",
            escaped(&hop.from.0),
            escaped(&hop.predicate),
            escaped(&hop.to.0),
            escaped(&hop.said_by),
            escaped(&hop.level)
        );
    }
    out + "</tbody></table>"
}

#[cfg(test)]
mod tests {
    use super::{Hop, ordered, short};

    fn hop(from: &str, to: &str) -> Hop {
        let end = |text: &str| (format!("urn:{text}"), text[..1].to_owned());
        Hop {
            from: end(from),
            predicate: "part-of".to_owned(),
            to: end(to),
            said_by: String::new(),
            level: String::new(),
        }
    }

    #[test]
    fn who_has_to_do_with_both_stands_between_them() {
        let check = |hops: &[(&str, &str)], expect: &[&str]| {
            let hops: Vec<Hop> = hops.iter().map(|(from, to)| hop(from, to)).collect();
            assert_eq!(ordered(&hops), expect);
        };
        check(&[], &[]);
        check(&[("m1", "o1"), ("m1", "s1"), ("m2", "s1"), ("m2", "o2")], &["o", "m", "s"]);
        check(&[("a1", "b1"), ("b1", "c1"), ("c1", "d1")], &["d", "c", "b", "a"]);
        let far: Vec<(&str, &str)> =
            [("a", "g"), ("b", "g"), ("c", "g"), ("d", "g"), ("e", "g"), ("f", "g")].into();
        check(&far, &["a", "g", "b", "c", "d", "e", "f"]);
    }

    #[test]
    fn the_end_of_a_name_is_kept() {
        for (words, width, expect) in
            [("urn:a", 100.0, "urn:a"), ("urn:turbine:R80711", 76.0, "…ne:R80711"), ("é", 0.0, "é")]
        {
            assert_eq!(short(words, width), expect);
        }
    }
}
