//! The sender's encoding, and the answer in it.

use super::OtlpError;
use crate::protobuf::Writer;

/// How a request is written; the answer is written so too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Encoding {
    /// By the header `Content-Type`.
    ///
    /// # Errors
    /// When it is neither of the two.
    pub fn of(content_type: Option<&str>) -> Result<Self, OtlpError> {
        let given = content_type.unwrap_or_default();
        match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(OtlpError::ContentType(given.to_owned())),
        }
    }

    /// The header `Content-Type` of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The body of an answer with status 200: empty success, or partial success with how many points or records were rejected
/// and why. The sender must not send again what was rejected.
pub fn accepted(encoding: Encoding, signal: Signal, rejected: u64, why: &str) -> Vec<u8> {
    let whole = rejected == 0 && why.is_empty();
    match encoding {
        Encoding::Protobuf => {
            let mut writer = Writer::default();
            if !whole {
                writer.message(1, |partial| {
                    partial.number(1, rejected);
                    partial.text(2, why);
                });
            }
            writer.into_bytes()
        }
        Encoding::Json if whole => b"{}".to_vec(),
        Encoding::Json => {
            let name = match signal {
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
            };
            // 64 bit integers are text in proto3's JSON.
            let partial = serde_json::json!({ name: rejected.to_string(), "errorMessage": why });
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    }
}

/// The body of an answer with another status: a `google.rpc.Status` with its message.
pub fn refused(encoding: Encoding, why: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let mut writer = Writer::default();
            writer.text(2, why);
            writer.into_bytes()
        }
        Encoding::Json => serde_json::json!({ "message": why }).to_string().into_bytes(),
    }
}
