//! Which message a sender posts, and what it is told was written.

/// A message that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// The headers name what is not understood; answered with 415, so that the sender falls back to another message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The content type.
    #[error(
        "content type {0:?} is not taken; send application/x-protobuf, with proto=io.prometheus.write.v2.Request for 2.0"
    )]
    ContentType(String),
    /// The message it names.
    #[error("message {0:?} is not taken; send prometheus.WriteRequest or io.prometheus.write.v2.Request")]
    Message(String),
    /// The compression.
    #[error("content encoding {0:?} is not taken; send snappy (the block format)")]
    Encoding(String),
}

impl Protocol {
    /// Reads the headers `Content-Type` and `Content-Encoding`. Absent ones mean 1.0 and snappy, as old senders leave them out.
    ///
    /// # Errors
    /// When they name something else.
    pub fn negotiate(content_type: Option<&str>, content_encoding: Option<&str>) -> Result<Self, Unsupported> {
        let encoding = content_encoding.unwrap_or_default().trim();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
            return Err(Unsupported::Encoding(encoding.to_owned()));
        }
        let content_type = content_type.unwrap_or_default().trim();
        let mut parts = content_type.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !media.is_empty() && !media.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(Unsupported::ContentType(content_type.to_owned()));
        }
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            if !name.trim().eq_ignore_ascii_case("proto") {
                continue;
            }
            return match value.trim().trim_matches('"') {
                "prometheus.WriteRequest" => Ok(Self::V1),
                "io.prometheus.write.v2.Request" => Ok(Self::V2),
                other => Err(Unsupported::Message(other.to_owned())),
            };
        }
        Ok(Self::V1)
    }

    /// The protobuf name of its message.
    pub fn message(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// The headers a sender posts it with.
    pub fn headers(self) -> [(&'static str, &'static str); 3] {
        let (content_type, version) = match self {
            Self::V1 => ("application/x-protobuf", "0.1.0"),
            Self::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        [("content-type", content_type), ("content-encoding", "snappy"), ("x-prometheus-remote-write-version", version)]
    }
}

/// What was written of a body; a 2.0 sender compares it with what it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Float samples, stale markers among them.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

// The headers that count what was written.
const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";
const HISTOGRAMS_WRITTEN: &str = "x-prometheus-remote-write-histograms-written";
const EXEMPLARS_WRITTEN: &str = "x-prometheus-remote-write-exemplars-written";

impl Written {
    /// Reads a receiver's answer, given its headers by name; none when it counts nothing, as receivers of 1.0 do. A count that
    /// is not there beside others is 0.
    pub fn read<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Self> {
        let count = |name| header(name).and_then(|text| text.trim().parse().ok());
        let (samples, histograms, exemplars) =
            (count(SAMPLES_WRITTEN), count(HISTOGRAMS_WRITTEN), count(EXEMPLARS_WRITTEN));
        (samples.is_some() || histograms.is_some() || exemplars.is_some()).then(|| Self {
            samples: samples.unwrap_or(0),
            histograms: histograms.unwrap_or(0),
            exemplars: exemplars.unwrap_or(0),
        })
    }

    /// The headers of the answer; the specification wants all three, on errors too.
    pub fn headers(self) -> [(&'static str, String); 3] {
        [
            (SAMPLES_WRITTEN, self.samples.to_string()),
            (HISTOGRAMS_WRITTEN, self.histograms.to_string()),
            (EXEMPLARS_WRITTEN, self.exemplars.to_string()),
        ]
    }
}
