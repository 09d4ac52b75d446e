//! How fast each decoder reads a typical line of its own.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use threatstream_detection::decode::{Format, check_native, decode, vendor_id};
use threatstream_domain::Timestamp;

const LINES: &[(&str, &str)] = &[
    (
        "sshd",
        "Dec 10 07:28:08 LabSZ sshd[24247]: Failed password for invalid user admin from 203.0.113.7 port 55618 ssh2",
    ),
    (
        "cron",
        "Mar 27 16:17:01 ip-10-77-20-248 CRON[3550]: pam_unix(cron:session): session opened for user root by (uid=0)",
    ),
    (
        "rfc5424",
        r#"<38>1 2026-11-22T09:00:00.123456Z web-1 sshd 4242 - [meta sequenceId="1"] Accepted publickey for ubuntu from 10.0.0.9 port 50022 ssh2"#,
    ),
    (
        "access",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /shop/item?id=42%20or HTTP/1.1" 200 1382 "https://example.com/" "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0""#,
    ),
    (
        "native",
        r#"{"event_id":"e-1","timestamp":"2026-11-22T09:00:00Z","event_type":"login","source_ip":"203.0.113.7","destination_ip":"10.0.0.5","destination_port":22,"protocol":"TCP","payload":{"user":"ana","attempts":1},"metadata":{"sensor":"s-1"}}"#,
    ),
    (
        "cloudtrail",
        r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::111122223333:user/ana","accountId":"111122223333","userName":"ana"},"eventTime":"2026-11-22T09:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2.15","requestParameters":{"instancesSet":{},"filterSet":{}},"responseElements":null,"requestID":"r-1","eventID":"3fcfb182-98f8-4744-bd45-10ae00000000","readOnly":true}"#,
    ),
    (
        "text",
        "a line of an application that nobody wrote a decoder for, of the usual length",
    ),
];

fn decoders(criterion: &mut Criterion) {
    let now = Timestamp::from_secs(1_795_338_000);
    let mut group = criterion.benchmark_group("decode");
    for (name, line) in LINES {
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(*name, |bench| bench.iter(|| decode(black_box(line), Format::Auto, now)));
    }
    group.finish();
    let native = LINES
        .iter()
        .find(|(name, _)| *name == "native")
        .map_or("", |(_, line)| line);
    criterion.bench_function("check_native", |bench| bench.iter(|| check_native(black_box(native))));
    criterion.bench_function("vendor_id", |bench| {
        bench.iter(|| vendor_id(black_box(native)).map(|id| id.len()));
    });
}

criterion_group!(benches, decoders);
criterion_main!(benches);
