//! What it costs to look at bytes before hyper does: a request of twelve fields, and content by the KiB.

use std::{hint::black_box, sync::Arc};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tollgate::wire::{check::Check, verdict::Verdict};

const HEAD: &str = "GET /agents/research/query?limit=20&cursor=abcdef HTTP/1.1\r\n\
Host: api.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: application/json, text/plain, */*\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6Im1haW4ifQ.eyJzdWIiOiJhbGljZSIsImF1ZCI6ImFwaSIsImV4cCI6MTkwMDAwMDAwMH0.c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbg\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
Referer: https://app.example.com/agents\r\n\
Origin: https://app.example.com\r\n\
Cache-Control: no-cache\r\n\
Connection: keep-alive\r\n\
X-Request-Id: 4f1c2d3e4b5a69788796a5b4c3d2e1f0\r\n\
\r\n";

fn check() -> Check {
    Check::new(128 << 10, Arc::new(Verdict::default()))
}

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    group.bench_function("head_of_twelve_fields", |bencher| {
        let mut check = check();
        bencher.iter(|| assert_eq!(check.inspect(black_box(HEAD.as_bytes())), HEAD.len()));
    });
    let (one, two) = HEAD.as_bytes().split_at(300);
    group.bench_function("head_in_two_pieces", |bencher| {
        let mut check = check();
        bencher.iter(|| {
            assert_eq!(check.inspect(black_box(one)) + check.inspect(black_box(two)), 0);
            let ready = black_box(check.ready()).len();
            check.gave(ready);
        });
    });
    let content = vec![b'x'; 64 << 10];
    group.throughput(Throughput::Bytes(content.len() as u64));
    group.bench_function("content_of_known_length", |bencher| {
        let begin = || {
            let mut check = check();
            check.inspect(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n");
            check
        };
        bencher.iter_batched_ref(begin, |check| check.inspect(black_box(&content)), BatchSize::SmallInput);
    });
    // As many clients send it.
    let chunks: Vec<u8> =
        content.chunks(8 << 10).flat_map(|piece| [b"2000\r\n", piece, b"\r\n"].concat()).collect();
    group.bench_function("content_in_chunks_of_8_kib", |bencher| {
        let begin = || {
            let mut check = check();
            check.inspect(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            check
        };
        bencher.iter_batched_ref(begin, |check| check.inspect(black_box(&chunks)), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
