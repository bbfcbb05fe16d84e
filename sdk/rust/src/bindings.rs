//! Bindings generated from `wit/`. Records and the host's own functions are generated once, in `imports`; what a kind of
//! plugin exports is a small world of its own, because the macros that export an interface stand at the root of the crate
//! and may exist only once. The worlds of `wit/worlds.wit` are their unions: `wit-component` joins them again, and leaves out
//! the imports that a plugin does not use.

/// All records, and the host's own functions.
pub mod imports {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-imports;
            world sdk-imports {
                import tandem:plugin/types@1.0.0;
                import tandem:plugin/description-types@1.0.0;
                import tandem:plugin/meaning-types@1.0.0;
                import tandem:plugin/log@1.0.0;
                import tandem:plugin/assets@1.0.0;
                import tandem:plugin/files@1.0.0;
                import tandem:plugin/query@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-imports/sdk-imports",
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// WASI's HTTP, for the plugins that use it.
pub mod wasi_http {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-http;
            world sdk-http {
                import wasi:http/outgoing-handler@0.2.12;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-http/sdk-http",
        generate_all,
    });
}

/// `about`, which every plugin exports.
pub mod about {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-about;
            world sdk-about {
                export tandem:plugin/about@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-about/sdk-about",
        pub_export_macro: true,
        export_macro_name: "export_about",
        additional_derives: [PartialEq],
        with: {
            "tandem:plugin/description-types@1.0.0": crate::bindings::imports::tandem::plugin::description_types,
        },
    });
}

/// What a collector exports.
pub mod collector {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-collector;
            world sdk-collector {
                export tandem:plugin/mapper@1.0.0;
                export tandem:plugin/collector@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-collector/sdk-collector",
        pub_export_macro: true,
        export_macro_name: "export_collector",
        additional_derives: [PartialEq],
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::imports::tandem::plugin::types,
            "tandem:plugin/meaning-types@1.0.0": crate::bindings::imports::tandem::plugin::meaning_types,
        },
    });
}

/// What a detector exports.
pub mod detector {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-detector;
            world sdk-detector {
                export tandem:plugin/detector@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-detector/sdk-detector",
        pub_export_macro: true,
        export_macro_name: "export_detector",
        additional_derives: [PartialEq],
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::imports::tandem::plugin::types,
            "tandem:plugin/meaning-types@1.0.0": crate::bindings::imports::tandem::plugin::meaning_types,
        },
    });
}

/// What a correlator exports.
pub mod correlator {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-correlator;
            world sdk-correlator {
                export tandem:plugin/correlator@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-correlator/sdk-correlator",
        pub_export_macro: true,
        export_macro_name: "export_correlator",
        additional_derives: [PartialEq],
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::imports::tandem::plugin::types,
        },
    });
}

/// What a plugin that ranks root causes exports.
pub mod root_cause {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-root-cause;
            world sdk-root-cause {
                export tandem:plugin/root-cause@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-root-cause/sdk-root-cause",
        pub_export_macro: true,
        export_macro_name: "export_root_cause",
        additional_derives: [PartialEq],
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::imports::tandem::plugin::types,
        },
    });
}

/// What a drift metric exports.
pub mod drift_metric {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-drift-metric;
            world sdk-drift-metric {
                export tandem:plugin/drift-metric@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-drift-metric/sdk-drift-metric",
        pub_export_macro: true,
        export_macro_name: "export_drift_metric",
        additional_derives: [PartialEq],
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::imports::tandem::plugin::types,
        },
    });
}

/// What a deployment target exports.
pub mod deployment_target {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:sdk-deployment-target;
            world sdk-deployment-target {
                export tandem:plugin/deployment-target@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:sdk-deployment-target/sdk-deployment-target",
        pub_export_macro: true,
        export_macro_name: "export_deployment_target",
        additional_derives: [PartialEq],
        with: {
            "tandem:plugin/types@1.0.0": crate::bindings::imports::tandem::plugin::types,
        },
    });
}
