//! What `bindgen!` makes of `wit/`: types and imports once, exports per kind. Nothing of this leaves the crate; `convert`
//! turns it into domain types and distrusts what guests say.
//!
//! The worlds are written here rather than taken from `wit/worlds.wit`, because the host calls exports interface by
//! interface (a collector's mapper purely, its `collect` with its grants) and fills the imports by hand (`imports`).

#![allow(missing_docs, reason = "generated code")]

/// Records that all kinds share, and the `Host` traits of our own imports.
pub(crate) mod shared {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package tandem:host;
            world shared {
                import tandem:plugin/types@1.0.0;
                import tandem:plugin/meaning-types@1.0.0;
                import tandem:plugin/description-types@1.0.0;
                import tandem:plugin/log@1.0.0;
                import tandem:plugin/assets@1.0.0;
                import tandem:plugin/files@1.0.0;
                import tandem:plugin/query@1.0.0;
            }
        ",
        world: "tandem:host/shared",
        imports: {
            // Files of /sys may take seconds to read, so they are read off the async threads.
            "tandem:plugin/files": async,
        },
        require_store_data_send: true,
    });
}

pub(crate) use shared::tandem::plugin::{
    assets as wit_assets, description_types as wit_description, files as wit_files, log as wit_log,
    meaning_types as wit_meaning, query as wit_query, types as wit,
};

/// `about`, which every kind exports.
pub(crate) mod about {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world about-view { export tandem:plugin/about@1.0.0; }",
        world: "tandem:host/about-view",
        with: { "tandem:plugin/description-types@1.0.0": crate::bindings::shared::tandem::plugin::description_types },
    });
}

/// A collector's pure half.
pub(crate) mod mapper {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world mapper-view { export tandem:plugin/mapper@1.0.0; }",
        world: "tandem:host/mapper-view",
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
            "tandem:plugin/meaning-types@1.0.0": crate::bindings::shared::tandem::plugin::meaning_types,
        },
    });
}

/// A collector's half that reads and listens; async.
pub(crate) mod collector {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world collector-view { export tandem:plugin/collector@1.0.0; }",
        world: "tandem:host/collector-view",
        exports: { default: async },
        require_store_data_send: true,
        with: { "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types },
    });
}

/// Detectors.
pub(crate) mod detector {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world detector-view { export tandem:plugin/detector@1.0.0; }",
        world: "tandem:host/detector-view",
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
            "tandem:plugin/meaning-types@1.0.0": crate::bindings::shared::tandem::plugin::meaning_types,
        },
    });
}

/// Correlators.
pub(crate) mod correlator {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world correlator-view { export tandem:plugin/correlator@1.0.0; }",
        world: "tandem:host/correlator-view",
        with: { "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types },
    });
}

/// Those that rank root causes.
pub(crate) mod root_cause {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world root-cause-view { export tandem:plugin/root-cause@1.0.0; }",
        world: "tandem:host/root-cause-view",
        with: { "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types },
    });
}

/// Drift metrics.
pub(crate) mod drift {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world drift-view { export tandem:plugin/drift-metric@1.0.0; }",
        world: "tandem:host/drift-view",
        with: { "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types },
    });
}

/// Deployment targets; async.
pub(crate) mod target {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package tandem:host; world target-view { export tandem:plugin/deployment-target@1.0.0; }",
        world: "tandem:host/target-view",
        exports: { default: async },
        require_store_data_send: true,
        with: { "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types },
    });
}
