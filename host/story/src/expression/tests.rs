//! Precedence, columns, links, and what is told of a slip of the pen.

use super::{Column, Links, Node, Resolve, Scene, Target, evaluate::daily};
use crate::{draw::Draws, error::Problem};

struct Names;

impl Resolve for Names {
    fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Target, Problem> {
        match (kind, name) {
            (None, "busy") => Ok(Target::Own(0)),
            (Some("gpu"), "power") => Ok(Target::Linked { kind: 1, variable: 0 }),
            (Some("gpu"), "count") => Ok(Target::Count(1)),
            (kind, name) => Err(format!("no {kind:?} {name}")),
        }
    }

    fn overrides(&self) -> bool {
        true
    }
}

fn evaluated(text: &str) -> Vec<f64> {
    let node = Node::read(text, &Names).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let (own, kinds) = ([vec![0.25, 0.5, 0.75]], [vec![], vec![vec![10.0, 20.0, 40.0]]]);
    let links = [Links::default(), Links { starts: vec![0, 0, 1, 3], parts: vec![2, 0, 1] }];
    let scene = Scene {
        lanes: 3,
        time: 30.0,
        hour: 12.0,
        step_seconds: 15.0,
        step: 9,
        draws: Draws::new(1),
        own: &own,
        kinds: &kinds,
        links: &links,
        wander: &[0.0; 3],
        previous: &[1.0, 2.0, f64::NAN],
        value: &[7.0; 3],
        ramp: 0.5,
    };
    let mut column = Vec::new();
    scene.evaluate(&node).write(&mut column, 3);
    column
}

#[test]
fn operators_bind_as_in_arithmetic() {
    for (text, value) in [
        ("1 + 2*3", 7.0),
        ("(1 + 2)*3", 9.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("-2 * 3", -6.0),
        ("10 - 4 - 3", 3.0),
        ("1 < 2 && 2 < 1 || 1 == 1", 1.0),
        ("!(1 > 2)", 1.0),
        ("1.5e3 / 3_00", 5.0),
        ("clip(7, 0, 1) + min(3, 2) + max(3, 2)", 6.0),
        ("value * (1 - ramp)", 3.5),
        ("dt + t", 45.0),
        ("known(nan, 4)", 4.0),
        ("if(hour >= 12, 1, 2)", 1.0),
    ] {
        assert_eq!(evaluated(text), [value; 3], "{text}");
    }
}

#[test]
fn columns_are_worked_out_lane_by_lane_and_links_are_followed() {
    assert_eq!(evaluated("busy * 4"), [1.0, 2.0, 3.0]);
    assert_eq!(evaluated("gpu.power"), [0.0, 40.0, 15.0], "nothing linked, one, the mean of two");
    assert_eq!(evaluated("gpu.sum.power + gpu.count"), [0.0, 41.0, 32.0]);
    assert_eq!(evaluated("gpu.max.power - gpu.min.power"), [0.0, 0.0, 10.0]);
    assert_eq!(evaluated("index"), [0.0, 1.0, 2.0]);
    let eased = evaluated("ease(10, 15)");
    assert!((eased[0] - (1.0 + 9.0 * (1.0 - (-1.0_f64).exp()))).abs() < 1e-12);
    assert_eq!(eased[2], 10.0, "where nothing came before it begins at once");
    let drawn = evaluated("noise");
    assert!(drawn[0] != drawn[1] && drawn == evaluated("noise"));
    let shares: f64 =
        (0..2_400).map(|step| f64::from(step) / 100.0).map(|hour| daily(hour, 14.0)).sum::<f64>() / 2_400.0;
    assert!(daily(14.0, 14.0) == 1.0 && daily(2.0, 14.0) < 0.01 && (0.4..0.7).contains(&shares), "{shares}");
}

#[test]
fn slips_of_the_pen_are_told_with_a_remedy() {
    for (text, told) in [
        ("1 +", "ends where a value"),
        ("clip(1, 2)", "takes 3 arguments"),
        ("foo(1)", "there is no function foo; there are abs"),
        ("(1", "not closed"),
        ("1 2", "operator may be missing"),
        ("1 % 2", "means nothing"),
        ("1.2.3", "is no number"),
        ("gpu.median.power", "mean, sum, min or max"),
        ("nothing", "no None nothing"),
        (&"(".repeat(500), "nested deeper"),
        (&"1+".repeat(5_000), "longer than"),
    ] {
        let problem = Node::read(text, &Names).expect_err(text);
        assert!(problem.contains(told), "{text}: {problem}");
    }
    assert!(Column::One(1.0).at(5) == 1.0);
}
