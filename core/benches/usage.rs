//! What it costs to read usage from an answer while it streams by: an event of each kind of stream, and a document by
//! its length.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Response, header::CONTENT_TYPE};
use tollgate_core::usage::UsageReader;

const OPENAI: &str = r#"data: {"id":"chatcmpl-123456789","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" Hello"},"logprobs":null,"finish_reason":null}],"usage":null}

"#;
const ANTHROPIC: &str = r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" Hello"}}

"#;

fn reader(content_type: &str) -> UsageReader {
    let head = Response::builder().header(CONTENT_TYPE, content_type).body(()).expect("a head");
    UsageReader::for_answer(&head.into_parts().0).expect("a type that is read")
}

fn event(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("usage: an event");
    for (name, event) in [("openai", OPENAI), ("anthropic", ANTHROPIC)] {
        group.throughput(Throughput::Bytes(event.len() as u64));
        let mut reader = reader("text/event-stream");
        group.bench_function(name, |bencher| bencher.iter(|| reader.see(black_box(event.as_bytes()))));
        assert!(reader.generated() > 0, "{name}");
    }
}

fn document(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("usage: a document");
    group.measurement_time(Duration::from_secs(3));
    let usage = r#""usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}"#;
    let text = "What a model writes, with \\\"quotes\\\"\\n and lines. ".repeat(1000);
    let numbers = "-0.0123456789,".repeat(4000);
    for (name, document) in [
        ("of text", format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}],{usage}}}"#)),
        ("of numbers", format!(r#"{{"data":[{{"embedding":[{numbers}0]}}],{usage}}}"#)),
    ] {
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut reader = reader("application/json");
                reader.see(black_box(document.as_bytes()));
                assert!(reader.told().is_some());
            });
        });
    }
}

criterion_group!(benches, event, document);
criterion_main!(benches);
