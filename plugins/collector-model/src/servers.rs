//! What each model server calls things, and the one normal form they come to. Names that moved between releases stand beside
//! their successors (vLLM's rename history in its release notes; Triton's, TGI's and TorchServe's own metric lists).

use tandem_sdk::{
    mapping::{Canonical, canonical, label_of},
    types::Series,
};

const MICROSECOND: f64 = 1e-6;
const MILLISECOND: f64 = 1e-3;
const MEBIBYTE: f64 = 1_048_576.0;
const PERCENT: f64 = 0.01;

/// A series in normal form.
pub(crate) struct Normal {
    pub canonical: Canonical,
    pub server: &'static str,
}

/// Name (histogram and summary parts without their suffix), canonical name, unit, scale, fixed dimension.
type Row = (&'static str, &'static str, &'static str, f64, Option<(&'static str, &'static str)>);

const fn row(name: &'static str, canonical: &'static str, unit: &'static str) -> Row {
    (name, canonical, unit, 1.0, None)
}

const fn scaled(name: &'static str, canonical: &'static str, unit: &'static str, scale: f64) -> Row {
    (name, canonical, unit, scale, None)
}

const fn told(
    name: &'static str,
    canonical: &'static str,
    unit: &'static str,
    key: &'static str,
    value: &'static str,
) -> Row {
    (name, canonical, unit, 1.0, Some((key, value)))
}

const VLLM: &[Row] = &[
    row("vllm:num_requests_running", "model.inflight", "{request}"),
    row("vllm:num_requests_waiting", "model.queue.depth", "{request}"),
    row("vllm:num_requests_swapped", "model.swapped", "{request}"),
    row("vllm:kv_cache_usage_perc", "model.cache.usage", "1"),
    row("vllm:gpu_cache_usage_perc", "model.cache.usage", "1"),
    row("vllm:cpu_cache_usage_perc", "model.cache.usage.cpu", "1"),
    row("vllm:prefix_cache_queries", "model.cache.queries", "{token}"),
    row("vllm:gpu_prefix_cache_queries", "model.cache.queries", "{token}"),
    row("vllm:prefix_cache_hits", "model.cache.hits", "{token}"),
    row("vllm:gpu_prefix_cache_hits", "model.cache.hits", "{token}"),
    row("vllm:num_preemptions", "model.preemptions", "{request}"),
    told("vllm:prompt_tokens", "model.tokens", "{token}", "direction", "in"),
    told("vllm:generation_tokens", "model.tokens", "{token}", "direction", "out"),
    told("vllm:request_success", "model.requests", "{request}", "outcome", "success"),
    row("vllm:time_to_first_token_seconds", "model.ttft", "s"),
    row("vllm:inter_token_latency_seconds", "model.itl", "s"),
    row("vllm:time_per_output_token_seconds", "model.itl", "s"),
    row("vllm:request_time_per_output_token_seconds", "model.itl.request", "s"),
    row("vllm:e2e_request_latency_seconds", "model.latency", "s"),
    row("vllm:request_queue_time_seconds", "model.queue.time", "s"),
    row("vllm:time_in_queue_requests", "model.queue.time", "s"),
    row("vllm:request_inference_time_seconds", "model.compute.time", "s"),
    row("vllm:request_prefill_time_seconds", "model.prefill.time", "s"),
    row("vllm:request_decode_time_seconds", "model.decode.time", "s"),
    row("vllm:iteration_tokens_total", "model.batch.size", "{token}"),
];

const TRITON: &[Row] = &[
    told("nv_inference_request_success", "model.requests", "{request}", "outcome", "success"),
    told("nv_inference_request_failure", "model.requests", "{request}", "outcome", "failure"),
    row("nv_inference_count", "model.inferences", "{inference}"),
    row("nv_inference_exec_count", "model.executions", "{execution}"),
    row("nv_inference_pending_request_count", "model.queue.depth", "{request}"),
    scaled("nv_inference_request_duration_us", "model.latency.sum", "s", MICROSECOND),
    scaled("nv_inference_queue_duration_us", "model.queue.time.sum", "s", MICROSECOND),
    scaled("nv_inference_compute_input_duration_us", "model.compute.input.time.sum", "s", MICROSECOND),
    scaled("nv_inference_compute_infer_duration_us", "model.compute.time.sum", "s", MICROSECOND),
    scaled("nv_inference_compute_output_duration_us", "model.compute.output.time.sum", "s", MICROSECOND),
    scaled("nv_inference_first_response_histogram_ms", "model.ttft", "s", MILLISECOND),
    scaled("nv_inference_request_summary_us", "model.latency", "s", MICROSECOND),
    scaled("nv_inference_queue_summary_us", "model.queue.time", "s", MICROSECOND),
    scaled("nv_inference_compute_infer_summary_us", "model.compute.time", "s", MICROSECOND),
    row("nv_cache_num_hits_per_model", "model.cache.hits", "{request}"),
    row("nv_cache_num_misses_per_model", "model.cache.misses", "{request}"),
    row("nv_gpu_utilization", "replica.gpu.utilization", "1"),
    row("nv_gpu_memory_total_bytes", "replica.gpu.memory.total", "By"),
    row("nv_gpu_memory_used_bytes", "replica.gpu.memory.used", "By"),
    row("nv_gpu_power_usage", "replica.gpu.power", "W"),
    row("nv_gpu_power_limit", "replica.gpu.power.limit", "W"),
    row("nv_energy_consumption", "replica.gpu.energy", "J"),
    row("nv_cpu_utilization", "replica.cpu.utilization", "1"),
    row("nv_cpu_memory_used_bytes", "replica.memory.used", "By"),
];

const TGI: &[Row] = &[
    told("tgi_request_count", "model.requests", "{request}", "outcome", "any"),
    told("tgi_request_success", "model.requests", "{request}", "outcome", "success"),
    told("tgi_request_failure", "model.requests", "{request}", "outcome", "failure"),
    row("tgi_queue_size", "model.queue.depth", "{request}"),
    row("tgi_batch_current_size", "model.inflight", "{request}"),
    row("tgi_batch_current_max_tokens", "model.batch.tokens", "{token}"),
    row("tgi_batch_next_size", "model.batch.size", "{request}"),
    row("tgi_request_duration", "model.latency", "s"),
    row("tgi_request_queue_duration", "model.queue.time", "s"),
    row("tgi_request_inference_duration", "model.compute.time", "s"),
    row("tgi_request_mean_time_per_token_duration", "model.itl", "s"),
    told("tgi_request_input_length", "model.tokens.request", "{token}", "direction", "in"),
    told("tgi_request_generated_tokens", "model.tokens.request", "{token}", "direction", "out"),
];

const TORCHSERVE: &[Row] = &[
    told("ts_inference_requests_total", "model.requests", "{request}", "outcome", "any"),
    scaled("ts_inference_latency_microseconds", "model.latency.sum", "s", MICROSECOND),
    scaled("ts_queue_latency_microseconds", "model.queue.time.sum", "s", MICROSECOND),
    told("Requests2XX", "model.requests", "{request}", "outcome", "success"),
    told("Requests4XX", "model.requests", "{request}", "outcome", "client-error"),
    told("Requests5XX", "model.requests", "{request}", "outcome", "failure"),
    scaled("QueueTime", "model.queue.time", "s", MILLISECOND),
    scaled("PredictionTime", "model.latency", "s", MILLISECOND),
    scaled("HandlerTime", "model.compute.time", "s", MILLISECOND),
    scaled("GPUUtilization", "replica.gpu.utilization", "1", PERCENT),
    scaled("GPUMemoryUsed", "replica.gpu.memory.used", "By", MEBIBYTE),
    scaled("CPUUtilization", "replica.cpu.utilization", "1", PERCENT),
];

const KSERVE: &[Row] = &[
    row("request_preprocess_seconds", "model.preprocess.time", "s"),
    row("request_predict_seconds", "model.latency", "s"),
    row("request_postprocess_seconds", "model.postprocess.time", "s"),
    row("request_explain_seconds", "model.explain.time", "s"),
];

const MLSERVER: &[Row] = &[
    told("model_infer_request_success", "model.requests", "{request}", "outcome", "success"),
    told("model_infer_request_failure", "model.requests", "{request}", "outcome", "failure"),
    row("batch_request_queue", "model.queue.depth", "{request}"),
    row("parallel_request_queue", "model.queue.depth.parallel", "{request}"),
];

const SELDON: &[Row] = &[
    told("seldon_model_infer_total", "model.requests", "{request}", "outcome", "any"),
    row("seldon_model_infer_seconds_total", "model.latency.sum", "s"),
    row("seldon_model_infer_api_seconds", "model.latency", "s"),
    told("seldon_model_aggregate_infer_total", "model.requests.all", "{request}", "outcome", "any"),
    row("seldon_api_executor_server_requests_seconds", "model.latency", "s"),
    row("seldon_api_executor_client_requests_seconds", "model.compute.time", "s"),
    row("seldon_load_model_counter", "model.loads", "{load}"),
];

const BENTOML: &[Row] = &[
    told("bentoml_service_request", "model.requests", "{request}", "outcome", "any"),
    row("bentoml_service_request_in_progress", "model.inflight", "{request}"),
    row("bentoml_service_request_duration_seconds", "model.latency", "s"),
    row("bentoml_service_adaptive_batch_size", "model.batch.size", "{request}"),
];

const SGLANG: &[Row] = &[
    row("sglang:num_running_reqs", "model.inflight", "{request}"),
    row("sglang:num_queue_reqs", "model.queue.depth", "{request}"),
    row("sglang:token_usage", "model.cache.usage", "1"),
    row("sglang:time_to_first_token_seconds", "model.ttft", "s"),
    row("sglang:e2e_request_latency_seconds", "model.latency", "s"),
    row("sglang:queue_time_seconds", "model.queue.time", "s"),
    told("sglang:prompt_tokens", "model.tokens", "{token}", "direction", "in"),
    told("sglang:generation_tokens", "model.tokens", "{token}", "direction", "out"),
];

/// One visible list: server, pattern that shows its series, its rows.
const SERVERS: &[(&str, &[&str], &[Row])] = &[
    ("vllm", &["vllm:*"], VLLM),
    ("triton", &["nv_*"], TRITON),
    ("tgi", &["tgi_*"], TGI),
    (
        "torchserve",
        &[
            "ts_*",
            "Requests2XX",
            "Requests4XX",
            "Requests5XX",
            "QueueTime",
            "PredictionTime",
            "HandlerTime",
            "GPUUtilization",
            "GPUMemoryUsed",
            "CPUUtilization",
        ],
        TORCHSERVE,
    ),
    ("kserve", &["request_*_seconds*"], KSERVE),
    ("mlserver", &["model_infer_request_*", "batch_request_queue*", "parallel_request_queue*"], MLSERVER),
    ("seldon", &["seldon_*"], SELDON),
    ("bentoml", &["bentoml_*"], BENTOML),
    ("sglang", &["sglang:*"], SGLANG),
];

/// Labels that tell series of one model and name apart, and what they are called in normal form.
const DIMENSIONS: [(&str, &str); 12] = [
    ("le", "le"),
    ("quantile", "quantile"),
    ("finished_reason", "reason"),
    ("reason", "reason"),
    ("engine", "engine"),
    ("http_response_code", "code"),
    ("code", "code"),
    ("method", "method"),
    ("method_type", "method"),
    ("level", "level"),
    ("gpu_uuid", "gpu"),
    ("endpoint", "endpoint"),
];

/// Patterns of all series the mapper wants to see.
pub(crate) fn patterns() -> Vec<String> {
    let known = SERVERS.iter().flat_map(|(_, patterns, _)| patterns.iter());
    known.map(|pattern| (*pattern).to_owned()).chain(["up".to_owned()]).collect()
}

/// The normal form of a series, if it is a model server's.
pub(crate) fn normal_form(series: &Series) -> Option<Normal> {
    let (base, part) = family(&series.metric);
    for (server, _, rows) in SERVERS {
        let found = rows.iter().find(|(name, ..)| *name == base).map(|row| (row, part)).or_else(|| {
            // A name that itself ends like a part, such as `tgi_request_count`.
            rows.iter().find(|(name, ..)| *name == series.metric).map(|row| (row, ""))
        });
        if let Some(((_, name, unit, scale, dimension), part)) = found {
            return Some(Normal { canonical: meaning(series, name, unit, *scale, *dimension, part), server });
        }
    }
    None
}

/// Metric name without the suffix of a histogram's, summary's or counter's part, and the part.
fn family(metric: &str) -> (&str, &str) {
    for (suffix, part) in
        [("_bucket", "bucket"), ("_sum", "sum"), ("_count", "count"), ("_total", ""), ("_created", "created")]
    {
        if let Some(base) = metric.strip_suffix(suffix) {
            return (base, part);
        }
    }
    (metric, "")
}

fn meaning(series: &Series, name: &str, unit: &str, scale: f64, fixed: Option<(&str, &str)>, part: &str) -> Canonical {
    // A bucket's and a count's value is a number of observations, whatever is observed.
    let counts = part == "bucket" || part == "count";
    let mut meaning = match part {
        "" => canonical(name, unit).scaled(scale),
        _ if counts => canonical(&format!("{name}.{part}"), "{observation}"),
        _ => canonical(&format!("{name}.{part}"), unit).scaled(scale),
    };
    if let Some((key, value)) = fixed {
        meaning = meaning.dimension(key, value);
    }
    for (label, dimension) in DIMENSIONS {
        if let Some(value) = label_of(series, label) {
            meaning = meaning.dimension(dimension, value);
        }
    }
    meaning
}
