//! Errors over HTTP: a closed set of codes, a text for the user with a hint, and a separate text for the log.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tandem_domain::{Failure, FailureCode};
use utoipa::ToSchema;

/// When to come again, in seconds: longer than a commit takes, shorter than senders' queues last.
const RETRY_AFTER_SECONDS: &str = "5";

/// The closed set of error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorCode {
    /// The request cannot be understood; sending it again changes nothing.
    BadRequest,
    /// The caller is not known, or may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The thing is in a state in which this makes no sense.
    Conflict,
    /// The body is longer than is taken.
    PayloadTooLarge,
    /// The body is of a kind that is not taken here.
    UnsupportedMediaType,
    /// The body did not arrive in time.
    RequestTimeout,
    /// There is no room at present; send it again later.
    TooManyRequests,
    /// A part that is needed does not answer at present; try again.
    Unavailable,
    /// A fault in Tandem; the log has more.
    Internal,
}

impl ErrorCode {
    fn status(self) -> StatusCode {
        match self {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong, and what to do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    code: ErrorCode,
    message: String,
    hint: String,
}

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: ErrorCode,
    message: String,
    hint: String,
    internal: Option<String>,
}

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into(), internal: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message, hint)
    }

    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display, list: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {what} {id}"), format!("GET {list} lists what there is"))
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::Internal,
            message: "Tandem could not answer because of a fault of its own".into(),
            hint: "the server's log has the details".into(),
            internal: Some(detail.into()),
        }
    }
}

impl From<tandem_store::ReadError> for ApiError {
    fn from(error: tandem_store::ReadError) -> Self {
        ApiError::internal(format!("reading the store: {error}"))
    }
}

impl From<tandem_store::WriteError> for ApiError {
    fn from(error: tandem_store::WriteError) -> Self {
        if matches!(error, tandem_store::WriteError::Crowded) {
            return Self::new(ErrorCode::TooManyRequests, error.to_string(), "send it again later");
        }
        Self {
            code: ErrorCode::Unavailable,
            message: "nothing was kept: the store could not be written".into(),
            hint: "see /readyz and the server's log, then send it again".into(),
            internal: Some(format!("writing the store: {error}")),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let code = match failure.code {
            FailureCode::Unreachable => ErrorCode::Unavailable,
            FailureCode::Refused => ErrorCode::Conflict,
            FailureCode::Malformed | FailureCode::Misconfigured | FailureCode::Unsupported => ErrorCode::BadRequest,
            FailureCode::Internal => ErrorCode::Unavailable,
        };
        let hint = if failure.retry { "the same request may succeed later" } else { "mend the cause first" };
        Self::new(code, failure.message, hint)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(detail) = &self.internal {
            tracing::error!(code = ?self.code, "{detail}");
        }
        let body = ErrorBody { error: ErrorDetail { code: self.code, message: self.message, hint: self.hint } };
        let mut answer = (self.code.status(), Json(body)).into_response();
        if matches!(self.code, ErrorCode::TooManyRequests | ErrorCode::Unavailable) {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        answer
    }
}
