//! Refusals as problem documents (RFC 9457): `type` is the page of the code, `code` its name, and
//! `fault` says who has to change something.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// Where the pages of the codes stand.
const PAGES: &str = "https://w3id.org/twinpact/errors/";
/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal on its way out of the admin door.
#[derive(Debug)]
pub struct Refusal(pub Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal(problem)
    }
}

/// The JSON of a problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The page of the code.
    #[serde(rename = "type")]
    pub page: String,
    /// What happened, without values.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence with the values in question.
    pub detail: String,
    /// The stable code.
    pub code: String,
    /// Whose fault it is.
    pub fault: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Document {
    /// The document of a problem.
    #[must_use]
    pub fn of(problem: &Problem) -> Document {
        Document {
            page: format!("{PAGES}{}", problem.code.name),
            title: problem.code.title.to_owned(),
            status: problem.code.class.http_status(),
            detail: problem.message.clone(),
            code: problem.code.name.to_owned(),
            fault: problem.code.fault.to_string(),
            hint: problem.hint.clone(),
        }
    }

    /// The problem of a document: the other end of the wire.
    #[must_use]
    pub fn problem(self) -> Problem {
        let code = codes::find(&self.code).unwrap_or(codes::INTERNAL);
        Problem { code, message: self.detail, hint: self.hint }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let document = Document::of(&self.0);
        let status =
            StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let kind = HeaderValue::from_static(PROBLEM_JSON);
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        // For who logs it.
        response.extensions_mut().insert(self.0.code);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::Document;
    use twinpact_model::codes;
    use twinpact_model::problem::Problem;

    #[test]
    fn a_problem_comes_through_the_wire_whole() {
        for code in codes::ALL {
            let problem = Problem::new(*code, "a sentence").hint("a hint");
            let wire = serde_json::to_string(&Document::of(&problem)).unwrap();
            let read: Document = serde_json::from_str(&wire).unwrap();
            assert_eq!(read.problem(), problem);
        }
    }
}
