//! What is read of which answer, one claim at a time. That nothing else is read is `core/tests/usage.rs`.

use http::{Response, header::CONTENT_TYPE};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{
    place::{DEEPEST, Place},
    *,
};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

fn for_fields(fields: &[(&str, &str)]) -> Option<UsageReader> {
    let mut head = Response::builder();
    for (name, value) in fields {
        head = head.header(*name, *value);
    }
    UsageReader::for_answer(&head.body(()).unwrap().into_parts().0)
}

/// Has seen the whole body, byte by byte.
fn seen(content_type: &str, body: &str) -> UsageReader {
    let mut reader = for_fields(&[(CONTENT_TYPE.as_str(), content_type)]).unwrap();
    body.bytes().for_each(|byte| reader.see(&[byte]));
    reader
}

fn told(content_type: &str, body: &str) -> Option<Usage> {
    seen(content_type, body).told()
}

fn usage(input_tokens: u64, output_tokens: u64, total_tokens: u64, cached_tokens: u64) -> Option<Usage> {
    Some(Usage { input_tokens, output_tokens, total_tokens, cached_tokens })
}

/// Each as an event of its own.
fn events(data: &[&str]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_neither_json_nor_a_stream_of_it_is_not_read() {
    let is_read = |content_type: &str| for_fields(&[("content-type", content_type)]).is_some();
    for content_type in [
        JSON,
        "Application/JSON; charset=utf-8",
        "application/vnd.api+json",
        EVENTS,
        "text/event-stream;charset=utf-8",
        LINES,
        "application/jsonl",
    ] {
        assert!(is_read(content_type), "{content_type}");
    }
    for content_type in
        ["", "text/html", "application/octet-stream", "application/jsonish", "json", "text/plain"]
    {
        assert!(!is_read(content_type), "{content_type}");
    }
    assert!(for_fields(&[]).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn encoded_content_is_not_read() {
    let is_read = |codings: &[&str]| {
        let codings = codings.iter().map(|coding| ("content-encoding", *coding));
        for_fields(&[("content-type", JSON)].into_iter().chain(codings).collect::<Vec<_>>()).is_some()
    };
    assert!(
        is_read(&[])
            && is_read(&["identity"])
            && is_read(&["Identity", ""])
            && is_read(&["identity, identity"])
    );
    for codings in [&["gzip"][..], &["identity", "br"], &["identity, zstd"], &["x"]] {
        assert!(!is_read(codings), "{codings:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn openai_chat_is_read() {
    let body = r#"{"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant",
        "content": "Hello!", "refusal": null, "annotations": []}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 5, "cached_tokens": 900}}, "service_tier": "default"}"#;
    let reader = seen(JSON, body);
    assert_eq!(reader.told(), usage(19, 10, 29, 8));
    assert!(reader.is_complete());
    assert_eq!(reader.generated(), 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn openai_embeddings_use_no_output() {
    let body = r#"{"object":"list","data":[{"embedding":[0.1,-2e-3],"index":0}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    assert_eq!(told(JSON, body), usage(8, 0, 8, 0));
    assert_eq!(seen(JSON, body).generated(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_openai_chat_stream_is_read() {
    let mut all = events(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}],"usage":null}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}],"usage":null}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"lo, world"}}],"usage":null}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"text":"old"}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    ]);
    let reader = seen(EVENTS, &all);
    assert_eq!(reader.told(), None);
    // `Hm`, `Hel`, `lo, world`, `{"a":1}`, `old`: 24 bytes in 5 events.
    assert_eq!(reader.generated(), 6);
    all +=
        &events(&[r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#]);
    assert_eq!(told(EVENTS, &all), usage(5, 7, 12, 0));
    assert!(!seen(EVENTS, &all).is_complete());
    all += &events(&["[DONE]"]);
    assert_eq!(told(EVENTS, &all), usage(5, 7, 12, 0));
    assert!(seen(EVENTS, &all).is_complete());
}

#[wasm_bindgen_test(unsupported = test)]
fn openai_responses_are_read() {
    let usages = r#""usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":30},"output_tokens":87,
        "output_tokens_details":{"reasoning_tokens":0},"total_tokens":123}"#;
    let body =
        format!(r#"{{"id":"r","output":[{{"content":[{{"type":"output_text","text":"In a"}}]}}],{usages}}}"#);
    assert_eq!(told(JSON, &body), usage(36, 87, 123, 30));
    assert_eq!(seen(JSON, &body).generated(), 1);

    let usages = usages.replace('\n', "");
    let begun = events(&[
        r#"{"type":"response.created","response":{"id":"r","usage":null}}"#,
        r#"{"type":"response.output_text.delta","delta":"In a pea"}"#,
        r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#,
        r#"{"type":"response.output_text.done","text":"In a pea"}"#,
    ]);
    let reader = seen(EVENTS, &begun);
    assert_eq!((reader.told(), reader.generated(), reader.is_complete()), (None, 3, false));
    for kind in ["completed", "incomplete", "failed"] {
        let last = format!(r#"{{"type":"response.{kind}","response":{{"output":[{body}],{usages}}}}}"#);
        let reader = seen(EVENTS, &format!("{begun}event: x\n{}", events(&[&last.replace('\n', "")])));
        assert_eq!(reader.told(), usage(36, 87, 123, 30));
        assert!(reader.is_complete());
        assert_eq!(reader.generated(), 3, "what is repeated isn't made twice");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn anthropic_counts_what_is_cached_as_input_too() {
    let body = r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"Hi"},
        {"type":"tool_use","input":{"usage":{"input_tokens":1000000}}}],"stop_reason":"end_turn",
        "usage":{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,
        "cache_creation":{"ephemeral_5m_input_tokens":200},"output_tokens":4,"service_tier":"standard"}}"#;
    assert_eq!(told(JSON, body), usage(3210, 4, 3214, 3000));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_anthropic_stream_is_read() {
    let begun = events(&[
        r#"{"type":"message_start","message":{"type":"message","content":[],"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2lnbmF0dXJlIGlzIG5vIHRleHQ="}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hello"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"us"}}"#,
    ]);
    let reader = seen(EVENTS, &begun);
    assert_eq!(reader.told(), usage(30, 1, 31, 5));
    assert_eq!((reader.generated(), reader.is_complete()), (4, false));
    let all = begun
        + &events(&[
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
            r#"{"type":"message_stop"}"#,
        ]);
    let reader = seen(EVENTS, &all);
    assert_eq!(reader.told(), usage(30, 15, 45, 5));
    assert!(reader.is_complete());
}

#[wasm_bindgen_test(unsupported = test)]
fn gemini_counts_thoughts_as_output() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"},{"functionCall":{"args":{"text":"no"}}}]}}],
        "usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":7,
        "thoughtsTokenCount":40,"toolUsePromptTokenCount":3,"totalTokenCount":150,
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":100}]}}"#;
    assert_eq!(told(JSON, body), usage(103, 47, 150, 60));
    // `Hello` and `{"args":{"text":"no"}}`.
    assert_eq!(seen(JSON, body).generated(), 7);
    assert_eq!(told(EVENTS, &events(&[&body.replace('\n', "")])), usage(103, 47, 150, 60));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_array_is_a_stream_of_documents() {
    let one = |made| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}}}}],"usageMetadata":{{"promptTokenCount":4,"candidatesTokenCount":{made}}}}}"#
        )
    };
    let body = format!("[{}\n,\n{}", one(9), one(8));
    let reader = seen(JSON, &body);
    assert_eq!((reader.told(), reader.generated(), reader.is_complete()), (usage(4, 8, 12, 0), 2, false));
    assert!(seen(JSON, &format!("{body}]")).is_complete());
}

#[wasm_bindgen_test(unsupported = test)]
fn ollama_is_read() {
    let begun = concat!(
        r#"{"model":"m","message":{"role":"assistant","content":"The"},"done":false}"#,
        "\n",
        r#"{"model":"m","response":" sky","done":false}"#,
        "\r\n"
    );
    let reader = seen(LINES, begun);
    assert_eq!((reader.told(), reader.generated(), reader.is_complete()), (None, 2, false));
    let last = r#"{"model":"m","done":true,"prompt_eval_count":26,"eval_count":298"#;
    let reader = seen(LINES, &format!("{begun}{last}"));
    assert!(!reader.is_complete());
    for end in ["}", "}\n", ",\"x\":1}\n"] {
        let reader = seen(LINES, &format!("{begun}{last}{end}"));
        assert_eq!(reader.told(), usage(26, 298, 324, 0));
        assert!(reader.is_complete());
    }
    assert_eq!(told(JSON, &format!("{last}}}")), usage(26, 298, 324, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_broken_line_spoils_no_other() {
    let body = "{\"eval_count\": 3, \"x\": \"\n}}\n{\"eval_count\": 4}\n";
    assert_eq!(told(LINES, body), usage(0, 4, 4, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_model_can_not_say_what_it_has_used() {
    let fake = r#"{"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":1}}"#;
    let text = serde_json::to_string(fake).unwrap();
    let escaped = text.replace("usage", r"\u0075sage").replace(r#"\""#, r"\u0022");
    for content in [&text, &escaped] {
        for place in [
            format!(r#"{{"choices":[{{"message":{{"content":{content}}}}}]}}"#),
            format!(
                r#"{{"choices":[{{"message":{{"tool_calls":[{{"function":{{"arguments":{content}}}}}]}}}}]}}"#
            ),
            format!(r#"{{"choices":[{{"message":{{"parsed":{fake}}}}}]}}"#),
            format!(r#"{{"choices":[{{"delta":{fake}}}]}}"#),
            format!(r#"{{"choices":[{fake}]}}"#),
            format!(r#"{{"delta":{fake}}}"#),
            format!(r#"{{"delta":{content}}}"#),
            format!(r#"{{"content":[{fake},{{"input":{fake}}},{{"text":{content}}}]}}"#),
            format!(r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"args":{fake}}}}}]}}}}]}}"#),
            format!(r#"{{"output":[{fake},{{"arguments":{content}}}]}}"#),
            format!(
                r#"{{"message":{{"content":{content},"tool_calls":[{{"function":{{"arguments":{fake}}}}}]}}}}"#
            ),
            format!(r#"{{"response":{{"output":[{fake}],"text":{fake}}}}}"#),
            format!(r#"{{"response":{content}}}"#),
            format!(r#"{{"message":{{"message":{fake},"response":{fake}}}}}"#),
            format!(r#"{{{content}:{{"prompt_tokens":1}}}}"#),
            format!(r#"{{"usage":[{fake}],"usageMetadata":{fake}}}"#),
            format!(r#"{{"usage":{fake}}}"#),
            format!(r#"[[{fake}]]"#),
            content.to_string(),
        ] {
            assert_eq!(told(JSON, &place), None, "{place}");
            assert_eq!(told(EVENTS, &events(&[&place])), None, "{place}");
            assert_eq!(told(LINES, &format!("{place}\n")), None, "{place}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_depth_hides_what_follows() {
    let deep = 5_000;
    let body = format!(
        r#"{{"content":[{{"input":{}{}}}],"usage":{{"input_tokens":3,"x":{}{},"output_tokens":4}}}}"#,
        r#"{"a":["#.repeat(deep),
        "]}".repeat(deep),
        "[".repeat(deep),
        "]".repeat(deep)
    );
    let reader = seen(JSON, &body);
    assert_eq!(reader.told(), usage(3, 4, 7, 0));
    assert!(reader.is_complete());
    assert_eq!(told(EVENTS, &events(&[&body])), usage(3, 4, 7, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn no_length_hides_it_either() {
    let body = format!(
        r#"{{"type":"response.completed","response":{{"x":"{}","usage":{{"input_tokens":3,"output_tokens":4}}}}}}"#,
        "x".repeat(1 << 20)
    );
    assert_eq!(told(EVENTS, &events(&[&body])), usage(3, 4, 7, 0));
    let body = format!(r#"{{"usage":{{"{}":1,"input_tokens":3}}}}"#, "input_tokens".repeat(1000));
    assert_eq!(told(JSON, &body), usage(3, 0, 3, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn of_a_number_told_twice_at_once_the_larger_counts() {
    for body in [
        r#"{"usage":{"prompt_tokens":5,"completion_tokens":1},"usage":{"prompt_tokens":2,"completion_tokens":7}}"#,
        r#"{"usage":{"prompt_tokens":2,"prompt_tokens":5,"completion_tokens":7,"completion_tokens":1}}"#,
        r#"{"usage":{"prompt_tokens":5},"message":{"usage":{"prompt_tokens":4,"completion_tokens":7}}}"#,
    ] {
        assert_eq!(told(JSON, body), usage(5, 7, 12, 0), "{body}");
        assert_eq!(told(EVENTS, &events(&[body])), usage(5, 7, 12, 0), "{body}");
        assert_eq!(told(LINES, body), usage(5, 7, 12, 0), "{body}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn of_a_number_told_again_the_later_counts() {
    let two = [
        r#"{"usage":{"prompt_tokens":5,"completion_tokens":9}}"#,
        r#"{"usage":{"completion_tokens":7,"prompt_tokens":null}}"#,
    ];
    assert_eq!(told(EVENTS, &events(&two)), usage(5, 7, 12, 0));
    assert_eq!(told(LINES, &two.join("\n")), usage(5, 7, 12, 0));
    assert_eq!(told(JSON, &format!("[{}]", two.join(","))), usage(5, 7, 12, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_unsigned_integer_is_not_told() {
    for number in
        ["-1", "1.0", "1e3", "\"7\"", "null", "true", "[7]", "{}", "18446744073709551616", "NaN", "1E+2"]
    {
        let body = format!(r#"{{"usage":{{"prompt_tokens":{number}}}}}"#);
        assert_eq!(told(JSON, &body), None, "{number}");
        let body = format!(r#"{{"usage":{{"prompt_tokens":{number},"completion_tokens":2}}}}"#);
        assert_eq!(told(JSON, &body), usage(0, 2, 2, 0), "{number}");
    }
    let most = r#"{"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}}"#;
    assert_eq!(told(JSON, most), usage(u64::MAX, u64::MAX, u64::MAX, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_but_totals_is_told_too() {
    assert_eq!(told(JSON, r#"{"usage":{"total_tokens":7}}"#), usage(0, 0, 7, 0));
    assert_eq!(
        told(JSON, r#"{"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":1}}"#),
        usage(7, 3, 10, 0)
    );
    assert_eq!(told(JSON, r#"{"usage":{}}"#), None);
    assert_eq!(told(JSON, r#"{"usage":{"prompt_tokens_details":{"cached_tokens":3}}}"#), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn no_more_is_cached_than_was_asked() {
    let body = r#"{"usage":{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":9}}}"#;
    assert_eq!(told(JSON, body), usage(3, 0, 3, 3));
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_count_however_they_are_written() {
    let body = r#"{"\u0075sag\u0065":{"prompt\u005ftokens":3,"prompt_tokens\u0000":9,"prompt_tokens\n":9,"\"prompt_tokens":9}}"#;
    assert_eq!(told(JSON, body), usage(3, 0, 3, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn usage_counts_at_once_in_a_document_that_breaks_off() {
    assert_eq!(told(JSON, r#"{"usage":{"prompt_tokens":3,"completion_tokens":4"#), usage(3, 0, 3, 0));
    let reader = seen(JSON, r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}"#);
    assert_eq!(reader.told(), usage(3, 4, 7, 0));
    assert!(!reader.is_complete());
}

#[wasm_bindgen_test(unsupported = test)]
fn after_a_break_of_the_grammar_nothing_is_read() {
    let rest = r#""usage":{"prompt_tokens":3}}"#;
    for begun in [
        "",
        "}",
        "[",
        "{{",
        "{1:2,",
        "{,",
        "{\"a\" 1,",
        "{\"a\":,",
        "{\"a\":1 2,",
        "{\"a\":1]",
        "{\"a\":?,",
        "{\"\\u00zz\":1,",
        "5 {",
        "{} {",
    ] {
        let reader = seen(JSON, &format!("{begun}{rest}"));
        assert_eq!((reader.told(), reader.is_complete()), (None, false), "{begun}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn lines_end_in_all_three_ways() {
    let data = [r#"data: {"usage":"#, "data:", r#"data:{"prompt_tokens": 3}"#, "data: }", ""];
    for end in ["\n", "\r", "\r\n"] {
        let body: String = data.iter().map(|line| format!("{line}{end}")).collect();
        assert_eq!(told(EVENTS, &body), usage(3, 0, 3, 0), "{end:?}");
    }
    // A CR and a LF are one end, so there is no blank line yet.
    assert_eq!(told(EVENTS, "data: {\"usage\":{\"prompt_tokens\":3}}\r\n"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_without_its_blank_line_is_none() {
    let data = r#"data: {"usage":{"prompt_tokens":3},"type":"message_stop"}"#;
    for end in ["", "\n", "\r\n", "\n: comment\n", "\nid: 1\n", "\ndata: x\n\n", "\ndata\n"] {
        let reader = seen(EVENTS, &format!("{data}{end}"));
        assert_eq!((reader.told(), reader.is_complete()), (None, false), "{end:?}");
    }
    for end in ["\n\n", "\r\r", "\r\n\r\n", "\n\r", "\nid: 1\nevent: x\nretry\n: comment\n\n", "\ndata\n\n"] {
        let reader = seen(EVENTS, &format!("{data}{end}"));
        assert_eq!((reader.told(), reader.is_complete()), (usage(3, 0, 3, 0), true), "{end:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn data_stands_in_data_only() {
    let data = r#"{"usage":{"prompt_tokens":3}}"#;
    for line in
        [": ", "dat: ", "datas: ", "Data: ", " data: ", "event: ", ":data: ", "data : ", "data;: ", ""]
    {
        assert_eq!(told(EVENTS, &format!("{line}{data}\n\n")), None, "{line:?}");
    }
    for line in ["data: ", "data:", "data:  ", "event: a\ndata: ", ": c\r\n\r\ndata:"] {
        assert_eq!(told(EVENTS, &format!("{line}{data}\n\n")), usage(3, 0, 3, 0), "{line:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_byte_order_mark_is_no_part_of_it() {
    let data = r#"{"usage":{"prompt_tokens":3}}"#;
    let event = events(&[data]);
    for (content_type, body) in [(EVENTS, event.as_str()), (JSON, data), (LINES, data)] {
        assert_eq!(told(content_type, &format!("\u{feff}{body}")), usage(3, 0, 3, 0), "{content_type}");
        assert_eq!(told(content_type, &format!("\u{feff}\u{feff}{body}")), None, "{content_type}");
        // It begins with the same two bytes.
        assert_eq!(told(content_type, &format!("\u{fefe}{body}")), None, "{content_type}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_the_mark_itself_ends_a_stream() {
    let is_complete = |body: &str| seen(EVENTS, body).is_complete();
    for body in ["data: [DONE]\n\n", "data:[DONE]\r\n\r\n", "data: {}\n\ndata: [DONE]\n\n"] {
        assert!(is_complete(body), "{body:?}");
    }
    for body in [
        "data: [DONE]\n",
        "data: [DONE] \n\n",
        "data:  [DONE]\n\n",
        "data: [DONE\n\n",
        "data: [DO\ndata: NE]\n\n",
        "data: [DONE]\ndata: {}\n\n",
        "data: {}\ndata: [DONE]\n\n",
        "[DONE]\n\n",
        "event: [DONE]\n\n",
        "data: \"[DONE]\"\n\n",
        "data: {\"delta\": {\"type\": \"message_stop\"}}\n\n",
        "data: {\"type\": [\"message_stop\"]}\n\n",
        "data: {\"done\": true}\n\n",
        "event: message_stop\ndata: {}\n\n",
    ] {
        assert!(!is_complete(body), "{body:?}");
    }
    for body in [
        "{\"done\": \"true\"}\n",
        "{\"done\": trues}\n",
        "{\"done\": true, \"x\"\n{}\n",
        "{\"x\":{\"done\":true}}",
    ] {
        assert!(!seen(LINES, body).is_complete(), "{body:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn generated_text_is_measured_as_it_reads_and_not_as_it_is_written() {
    // 1 + 2 + 3 + 4 + 1 + 1 bytes.
    let plain = "{\"delta\":\"a\u{e9}\u{20ac}\u{1f600}/!\"}";
    let escaped = r#"{"delta":"\u0061\u00e9\u20AC\ud83d\ude00\/!"}"#;
    for data in [plain, escaped] {
        let reader = seen(EVENTS, &events(&[data]));
        assert_eq!(reader.generated(), 3, "{data}");
        assert_eq!(seen(EVENTS, &events(&[data, r#"{"delta":"x"}"#])).generated(), 4, "{data}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_tools_are_called_with_is_generated_too() {
    // As it is written.
    let made = r#"{"a":["\u0041"]}"#;
    assert_eq!(made.len(), 16);
    for data in [
        format!(r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{made}}}]}}}}]}}"#),
        format!(r#"{{"message":{{"role":"assistant","tool_calls":{made}}}}}"#),
        format!(r#"{{"content":[{{"type":"tool_use","input":{made}}}]}}"#),
    ] {
        assert_eq!(seen(JSON, &data).generated(), 4, "{data}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_memory_grows_with_the_stream() {
    assert!(!std::mem::needs_drop::<UsageReader>());
    assert!(size_of::<UsageReader>() <= 1024, "{}", size_of::<UsageReader>());
}

#[wasm_bindgen_test(unsupported = test)]
fn every_place_can_be_reached() {
    fn below(place: Place, depth: usize) -> usize {
        const KEYS: &[&str] = &[
            "usage",
            "usageMetadata",
            "message",
            "response",
            "delta",
            "choices",
            "candidates",
            "content",
            "output",
            "prompt_tokens_details",
            "tool_calls",
            "function_call",
            "function",
            "parts",
        ];
        assert!(!place.has_elements() || place.element().has_members(), "{place:?}");
        let members = KEYS.iter().map(|key| place.member(key.as_bytes()));
        let next = members.chain([place.element()]).filter(|next| next.has_members() || next.has_elements());
        next.map(|next| below(next, depth + 1)).max().unwrap_or(depth)
    }
    assert_eq!(below(Place::Root, 1), DEEPEST);
}
