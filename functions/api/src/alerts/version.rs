//! `If-Match`: which version of an alert a change is meant for.

use http::HeaderMap;
use http::header::IF_MATCH;
use threatstream_runtime::Problem;

/// The version that `If-Match` asks for, as `3`, `"3"` or `W/"3"`; `None` without the header, or with `*`.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let bare = tag
        .strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .unwrap_or(tag);
    bare.parse().map(Some).map_err(|_| {
        Problem::bad_request("the request has a header that is not allowed")
            .field("if-match", "expected one version of the alert, such as \"3\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (value, expected) in [
            ("3", Some(Some(3))),
            ("\"3\"", Some(Some(3))),
            ("W/\"3\"", Some(Some(3))),
            ("*", Some(None)),
            ("\"x\"", None),
            ("1, 2", None),
        ] {
            let headers = HeaderMap::from_iter([(IF_MATCH, value.parse().unwrap())]);
            assert_eq!(if_match(&headers).ok(), expected, "{value}");
        }
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
    }
}
