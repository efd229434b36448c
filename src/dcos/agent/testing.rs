//! Answers that an agent may give, for tests.

use proptest::prelude::*;

/// JSON of the names that an agent's answers have, in no sense.
pub(crate) fn json() -> impl Strategy<Value = String> {
    let text =
        prop::sample::select(vec!["id", "name", "container", "labels", "key", "value", "MARATHON_APP_ID"]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        text.clone().prop_map(|text| format!("{text:?}")),
    ];
    let key = prop::sample::select(vec![
        "id",
        "name",
        "frameworks",
        "completed_frameworks",
        "executors",
        "container",
        "labels",
        "key",
        "value",
        "tasks",
        "statuses",
        "container_status",
        "container_id",
        "parent",
        "get_containers",
        "containers",
    ]);
    leaf.prop_recursive(6, 64, 4, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("{key:?}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}
