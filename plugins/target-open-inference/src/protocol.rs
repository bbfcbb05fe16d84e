//! The requests of the protocol: "Model Repository Extension" and "Model Metadata" of the Open Inference Protocol V2.

use serde::Deserialize;
use tandem_sdk::{
    http::{Http, HttpRequest, HttpResponse},
    target::Call,
    types::{Failure, Label},
};

/// Longest part of an error that is passed on, in characters.
const MAX_ERROR_CHARACTERS: usize = 500;
/// Time for a server to take up a load; large models are read before it answers.
const LOAD_TIMEOUT_MS: u32 = 25_000;

/// One model of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct IndexEntry {
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct ServerError {
    error: String,
}

/// One server.
pub(crate) struct Server<'h> {
    base: String,
    http: &'h dyn Http,
}

impl<'h> Server<'h> {
    pub(crate) fn of(call: &Call, http: &'h dyn Http) -> Result<Self, Failure> {
        let base = call.target.trim_end_matches('/');
        let base = base.strip_suffix("/v2").unwrap_or(base);
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Failure::misconfigured(format!(
                "the target {:?} is no address; give one such as http://triton.example:8000",
                call.target
            )));
        }
        Ok(Self { base: base.to_owned(), http })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// All models that the repository knows, loaded or not.
    pub(crate) fn index(&self) -> Result<Vec<IndexEntry>, Failure> {
        let answer = self.post("/v2/repository/index", &serde_json::json!({}))?;
        self.read(&answer, "the repository index")
    }

    /// Loads a model; loading what is loaded reloads it when it changed.
    pub(crate) fn load(&self, model: &str, parameters: &[Label]) -> Result<(), Failure> {
        let parameters: serde_json::Map<String, serde_json::Value> =
            parameters.iter().map(|label| (label.name.clone(), label.value.clone().into())).collect();
        let body =
            if parameters.is_empty() { serde_json::json!({}) } else { serde_json::json!({ "parameters": parameters }) };
        self.post(&format!("/v2/repository/models/{}/load", segment(model)), &body).map(drop)
    }

    pub(crate) fn unload(&self, model: &str) -> Result<(), Failure> {
        self.post(&format!("/v2/repository/models/{}/unload", segment(model)), &serde_json::json!({})).map(drop)
    }

    /// The versions of a model, for servers whose index does not tell them.
    pub(crate) fn versions(&self, model: &str) -> Result<Vec<String>, Failure> {
        let answer = self.send(HttpRequest::get(format!("{}/v2/models/{}", self.base, segment(model))))?;
        Ok(self.read::<Metadata>(&answer, "the model's metadata")?.versions)
    }

    fn post(&self, path: &str, body: &serde_json::Value) -> Result<HttpResponse, Failure> {
        let mut request =
            HttpRequest::new("POST", format!("{}{path}", self.base)).header("content-type", "application/json");
        request.body = body.to_string().into_bytes();
        request.timeout_ms = LOAD_TIMEOUT_MS;
        self.send(request)
    }

    fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let what = format!("{} {}", request.method, request.url);
        let answer = self.http.send(request)?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let said = serde_json::from_slice::<ServerError>(&answer.body).map(|error| error.error);
        let said: String =
            said.unwrap_or_else(|_| "without saying why".into()).chars().take(MAX_ERROR_CHARACTERS).collect();
        let message = format!("{what}: status {}: {said}", answer.status);
        Err(match answer.status {
            404 | 405 | 501 if what.contains("/repository/index") => Failure::unsupported(format!(
                "{message}; the server must offer the model repository extension (Triton: --model-control-mode=explicit)"
            )),
            400 | 404 | 422 => Failure::misconfigured(message),
            401 | 403 => Failure::refused(message),
            _ => Failure::unreachable(message),
        })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: &HttpResponse, what: &str) -> Result<T, Failure> {
        serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::malformed(format!("{}: {what} is not understood: {error}", self.base)))
    }
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
