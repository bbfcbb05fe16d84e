//! Deployment targets: one that does not answer is a failure that may pass, and says which address it was.

use crate::{assert_unbroken, loaded};
use tandem_domain::{FailureCode, deployment::Revision, ports::DeploymentTargets};
use tandem_tests::sandbox::NOW;

/// Nothing listens on the discard port.
const NOBODY: &str = "http://127.0.0.1:9";

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_is_a_passing_failure_with_its_address() {
    let (runtime, _data) = loaded().await;
    let revision =
        Revision { service: "chat".into(), model: "llama".into(), version: "2".into(), parameters: Vec::new() };
    for plugin in runtime.deployment_targets() {
        let name = &plugin.name;
        let applied = runtime.apply(name, NOBODY, NOW, &revision, "key-1").await.expect_err("nobody is there");
        let observed = runtime.observe(name, NOBODY, NOW, "chat").await.expect_err("nobody is there");
        for failure in [applied, observed] {
            assert_eq!(failure.code, FailureCode::Unreachable, "{failure}");
            assert!(failure.retry, "{failure}");
            assert!(failure.message.contains(name.as_str()) && failure.message.contains("127.0.0.1:9"), "{failure}");
        }
        let wrong = runtime.apply(name, "no address at all", NOW, &revision, "key-1").await.expect_err("no address");
        assert!(wrong.message.contains(name.as_str()), "{wrong}");
    }
    assert_unbroken(&runtime);
}
