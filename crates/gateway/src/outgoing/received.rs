//! What is read of an answer: its body without the encoding that it came in, and where it goes on.

use flate2::read::MultiGzDecoder;
use hyper::header::{CONTENT_ENCODING, HeaderMap, LINK};
use std::io::Read;
use twinpact_node::outbound::Reply;

/// The answer of these parts; the reason when it cannot be read, or has more bytes than that.
pub(super) fn reply(
    status: u16,
    headers: &HeaderMap,
    body: Vec<u8>,
    most: usize,
) -> Result<Reply, String> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or_default());
    let body = match encoding.map(str::trim) {
        _ if body.is_empty() => body,
        None | Some("" | "identity") => body,
        Some(name) if is_gzip(name) => unzipped(&body, most)?,
        Some(_) => return Err("it is in an encoding that was not asked for".to_owned()),
    };
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    Ok(Reply { status, body, next: links.flat_map(entries).find_map(next) })
}

/// Both names of it (RFC 9110 §8.4.1.3).
fn is_gzip(name: &str) -> bool {
    ["gzip", "x-gzip"].iter().any(|gzip| name.eq_ignore_ascii_case(gzip))
}

fn unzipped(body: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    // One byte more than there may be, so that it is seen.
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(bound).read_to_end(&mut out);
    read.map_err(|_| "it is no gzip".to_owned())?;
    match out.len() <= most {
        true => Ok(out),
        false => Err(format!("it is larger than {most} bytes")),
    }
}

/// The links of one header field.
fn entries(field: &str) -> impl Iterator<Item = &str> {
    pieces(field, ',')
}

/// What stands between separators that are neither quoted nor inside `<…>`.
fn pieces(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut inside) = (false, false);
    text.split(move |c: char| {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => inside = true,
            '>' if !quoted => inside = false,
            _ => {}
        }
        c == separator && !quoted && !inside
    })
}

/// The address of a link that says it is the next one.
fn next(entry: &str) -> Option<String> {
    let (address, parameters) = entry.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = pieces(parameters, ';').any(|one| {
        let Some((name, value)) = one.trim().split_once('=') else { return false };
        let mut kinds = value.trim().trim_matches('"').split(' ');
        name.trim().eq_ignore_ascii_case("rel") && kinds.any(|kind| kind == "next")
    });
    is_next.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::reply;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue, LINK};
    use std::io::Write;

    fn zipped(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_unpacked_within_its_bound() {
        let check = |encoding: Option<&'static str>, body: Vec<u8>, expect: Option<&[u8]>| {
            let mut headers = HeaderMap::new();
            if let Some(encoding) = encoding {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            let got = reply(200, &headers, body, 8);
            assert_eq!(
                got.as_ref().ok().map(|reply| reply.body.as_slice()),
                expect,
                "{encoding:?}"
            );
        };
        check(None, b"12345678".to_vec(), Some(b"12345678"));
        check(Some("identity"), b"1".to_vec(), Some(b"1"));
        check(Some("gzip"), zipped(b"12345678"), Some(b"12345678"));
        check(Some(" GZip"), zipped(b""), Some(b""));
        check(Some("gzip"), zipped(b"123456789"), None);
        check(Some("gzip"), zipped(&vec![0; 1 << 24]), None);
        check(Some("gzip"), zipped(b"12345678")[..20].to_vec(), None);
        check(Some("gzip"), b"12345678".to_vec(), None);
        check(Some("x-gzip"), zipped(b"1"), Some(b"1"));
        check(Some("gzip"), Vec::new(), Some(b""));
        check(Some("br"), b"1".to_vec(), None);
    }

    #[test]
    fn the_next_part_is_found() {
        for (fields, expect) in [
            (&[][..], None),
            (&["<https://a/x>; rel=\"next\""], Some("https://a/x")),
            (&["<https://a/x>;rel=next"], Some("https://a/x")),
            (
                &["<https://a/y>; rel=\"prev\", <https://a/x,1>; REL=\"last next\""],
                Some("https://a/x,1"),
            ),
            (
                &["<https://a/y>; rel=previous", "<https://a/x>; title=\"a,b\"; rel=next"],
                Some("https://a/x"),
            ),
            (&["<https://a/y>; title=\"x, <https://a/x>; rel=next\""], None),
            (&["https://a/x; rel=next"], None),
            (&["<https://a/x>"], None),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(LINK, HeaderValue::from_str(field).unwrap());
            }
            let got = reply(200, &headers, Vec::new(), 8).unwrap().next;
            assert_eq!(got.as_deref(), expect, "{fields:?}");
        }
    }
}
