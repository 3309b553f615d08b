use std::fmt::Write;

use crate::{Dependency, Plan};

/// The saga as a Mermaid flowchart: forward edges solid, refusals and undos dotted, the pivot as a hexagon.
pub fn mermaid(plan: &Plan) -> String {
    let mut out = String::from("flowchart LR\n");
    let mut line = |text: String| {
        let _ = writeln!(out, "    {text}"); // writing to a String cannot fail
    };
    line(format!("start([{}])", plan.start));
    for (ix, step) in plan.steps() {
        match step.undone {
            Some(_) => line(format!("s{ix}[{}]", step.name)),
            None => line(format!("s{ix}{{{{{}}}}}", step.name)),
        }
    }
    for (ix, step) in plan.steps() {
        for dependency in &step.after {
            match dependency {
                Dependency::Start => line(format!("start --> s{ix}")),
                Dependency::Step(other) => line(format!("s{other} -->|{}| s{ix}", plan.step(*other).done)),
            }
        }
    }
    for (ix, step) in plan.steps().filter(|(_, s)| s.dependents.is_empty()) {
        line(format!("s{ix} -->|{}| completed([completed])", step.done));
    }
    for (ix, step) in plan.steps() {
        line(format!("s{ix} -.->|{}| compensating", step.refused));
        if let Some(undone) = &step.undone {
            line(format!("compensating -.->|{undone}| s{ix}"));
        }
    }
    line(format!(
        "compensating -->|{}| cancelled([cancelled])",
        plan.cancelled
    ));
    out
}
