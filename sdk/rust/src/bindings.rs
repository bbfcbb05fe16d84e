//! Bindings generated from `wit/`, cut so that each thing is generated once: the records of type-only interfaces in `shared`,
//! what plugins may call in `imports`, and one module per exported interface. The worlds of `wit/worlds.wit` are their unions;
//! `wit-component` joins them again, and leaves out the imports that a plugin does not use.

/// The records of the type-only interfaces.
pub mod shared {
    wit_bindgen::generate!({
        inline: r#"
            package tandem:shared-types;
            world shared {
                import tandem:plugin/types@1.0.0;
                import tandem:plugin/description-types@1.0.0;
                import tandem:plugin/meaning-types@1.0.0;
            }
        "#,
        path: "../../wit",
        world: "tandem:shared-types/shared",
        generate_all,
    });
}

macro_rules! world {
    ($module:ident, $macro_name:literal, $world:literal, $inline:literal, { $($interface:literal: $shared:path),* $(,)? }) => {
        #[doc = $world]
        pub mod $module {
            wit_bindgen::generate!({
                inline: $inline,
                path: "../../wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $macro_name,
                with: { $($interface: $shared,)* },
                generate_all,
            });
        }
    };
}

world!(imports, "export_nothing", "tandem:sdk-imports/imports", "package tandem:sdk-imports;
    world imports {
        import tandem:plugin/log@1.0.0;
        import tandem:plugin/files@1.0.0;
        import tandem:plugin/assets@1.0.0;
        import tandem:plugin/query@1.0.0;
        import wasi:http/outgoing-handler@0.2.12;
    }", {
    "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
});

world!(about, "export_about", "tandem:sdk-about/about", "package tandem:sdk-about;
    world about { export tandem:plugin/about@1.0.0; }", {
    "tandem:plugin/description-types@1.0.0": crate::bindings::shared::tandem::plugin::description_types,
});

world!(collector, "export_collector", "tandem:sdk-collector/collector", "package tandem:sdk-collector;
    world collector { export tandem:plugin/mapper@1.0.0; export tandem:plugin/collector@1.0.0; }", {
    "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
    "tandem:plugin/meaning-types@1.0.0": crate::bindings::shared::tandem::plugin::meaning_types,
});

world!(detector, "export_detector", "tandem:sdk-detector/detector", "package tandem:sdk-detector;
    world detector { export tandem:plugin/detector@1.0.0; }", {
    "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
    "tandem:plugin/meaning-types@1.0.0": crate::bindings::shared::tandem::plugin::meaning_types,
});

world!(correlator, "export_correlator", "tandem:sdk-correlator/correlator", "package tandem:sdk-correlator;
    world correlator { export tandem:plugin/correlator@1.0.0; }", {
    "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
});

world!(drift, "export_drift_metric", "tandem:sdk-drift/drift", "package tandem:sdk-drift;
    world drift { export tandem:plugin/drift-metric@1.0.0; }", {
    "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
});

world!(target, "export_deployment_target", "tandem:sdk-target/target", "package tandem:sdk-target;
    world target { export tandem:plugin/deployment-target@1.0.0; }", {
    "tandem:plugin/types@1.0.0": crate::bindings::shared::tandem::plugin::types,
});
