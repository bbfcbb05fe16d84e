//! `tandem rules`.

use crate::rules::check_file;
use std::{path::PathBuf, process::ExitCode};

/// What can be done with rule files without a server.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Example:\n  tandem rules check rules/*.yml")]
pub(super) enum Rules {
    /// Checks Prometheus' rule files: form, expressions and templates.
    #[command(after_help = "Example:\n  tandem rules check rules/*.yml")]
    Check(Check),
}

/// Checks rule files.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

impl Rules {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Check(Check { files, json }) = self;
        let mut told = Vec::new();
        let mut failed = false;
        for path in &files {
            let file = path.display().to_string();
            match check_file(path) {
                Ok(groups) => {
                    let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
                    if !json {
                        say!("{file}: {} groups, {rules} rules", groups.len());
                    }
                    told.push(serde_json::json!({"file": file, "groups": groups.len(), "rules": rules}));
                }
                Err(bad) => {
                    failed = true;
                    if !json {
                        note!("{bad}");
                    }
                    let problem = |problem: &tandem_domain::rule::RuleProblem| serde_json::json!({"line": problem.line, "group": problem.group, "rule": problem.rule, "problem": problem.problem});
                    let problems: Vec<_> = bad.problems.iter().map(problem).collect();
                    told.push(serde_json::json!({"file": file, "problems": problems}));
                }
            }
        }
        if json {
            say!("{}", serde_json::json!({"files": told}));
        }
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
