//! Stored responses in this process's memory, bounded in bytes.
//!
//! Whether a response may be stored, under which name and until when it is fresh is core's to say.
//! Here it is only kept: what has not been asked for lately goes first when room is needed.

mod tee;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use tollgate_core::{
    body::Body,
    cache::{CacheKey, Lifetime, Stored},
};

use self::tee::Tee;
use crate::body::NativeBody;

/// What an entry costs beside its key, head and body: maps' slots, counters, allocations.
const OVERHEAD: u64 = 512;
/// What a header field costs beside its text.
const FIELD_OVERHEAD: u64 = 64;
/// No shard is smaller, for an entry can't be larger than a shard.
const MIN_SHARD_BYTES: u64 = 16 << 20;
/// A guess at an entry's size, by which the cache dimensions its memory of what it evicted.
const TYPICAL_ENTRY_BYTES: u64 = 16 << 10;

/// A response cache. Cheap to clone; clones are the same cache.
///
/// The bound holds for everything that is stored, and once more for all the copies that are being made
/// of bodies on their way: when these get too many, some responses are not stored.
#[derive(Debug, Clone)]
pub struct ResponseCache(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    entries: Cache<CacheKey, Arc<Entry>, Size>,
    capacity: u64,
    /// Bytes of bodies that are being copied.
    copying: AtomicU64,
}

/// A stored response.
#[derive(Debug)]
struct Entry {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    lifetime: Lifetime,
}

#[derive(Debug, Clone)]
struct Size;

impl Weighter<CacheKey, Arc<Entry>> for Size {
    fn weight(&self, key: &CacheKey, entry: &Arc<Entry>) -> u64 {
        let text: usize = entry.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let bytes = key.as_str().len() + text + entry.body.len();
        OVERHEAD + FIELD_OVERHEAD * entry.headers.len() as u64 + bytes as u64
    }
}

impl ResponseCache {
    /// A cache of at most `capacity` bytes. With no capacity nothing is ever stored.
    pub fn new(capacity: u64) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let shards = usize::try_from(capacity / MIN_SHARD_BYTES).unwrap_or(usize::MAX).clamp(1, cores * 4);
        // Rounded down to a power of two: the cache would round up, and the shards would get too small.
        let shards = 1 << shards.ilog2();
        let items = usize::try_from(capacity / TYPICAL_ENTRY_BYTES).unwrap_or(usize::MAX).max(32 * shards);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(capacity)
            .shards(shards)
            .build();
        let entries = match options {
            Ok(options) => {
                Cache::with_options(options, Size, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            // Unreachable, as all that is asked for is given; a cache of the same bound all the same.
            Err(_) => Cache::with_weighter(items, capacity, Size),
        };
        Self(Arc::new(Shelf { entries, capacity, copying: AtomicU64::new(0) }))
    }

    /// A stored response, fresh or not: how old is too old is core's to say.
    pub fn load(&self, key: &CacheKey) -> Option<Stored<NativeBody>> {
        let entry = self.0.entries.get(key)?;
        let mut response = Response::new(NativeBody::full(entry.body.clone()));
        *response.status_mut() = entry.status;
        *response.headers_mut() = entry.headers.clone();
        Some(Stored { response, lifetime: entry.lifetime.clone() })
    }

    /// Keeps a copy of `body` while it streams, and stores it when it has ended well, is as long as its
    /// head said, and not longer than `max_bytes`. An empty body is stored before this returns.
    pub fn store(
        &self,
        key: CacheKey,
        lifetime: Lifetime,
        head: &response::Parts,
        body: NativeBody,
        max_bytes: u64,
    ) -> NativeBody {
        if self.0.capacity == 0 {
            return body;
        }
        let declared = match content_length(&head.headers) {
            // A signpost has no content of its own, whatever the head says that it was made from.
            _ if !lifetime.vary.is_empty() => None,
            Ok(declared) => declared,
            Err(Malformed) => return body,
        };
        if declared.is_some_and(|declared| declared > max_bytes) {
            return body;
        }
        let entry =
            Entry { status: head.status, headers: compact(&head.headers), body: Bytes::new(), lifetime };
        if http_body::Body::is_end_stream(&body) || body.length() == Some(0) {
            if declared.is_none_or(|declared| declared == 0) {
                self.insert(key, entry);
            }
            return body;
        }
        NativeBody::wrap(Tee::new(body, self.clone(), key, entry, declared, max_bytes))
    }

    /// How many bytes are stored, by this cache's own estimate.
    pub fn bytes(&self) -> u64 {
        self.0.entries.weight()
    }

    fn insert(&self, key: CacheKey, entry: Entry) {
        self.0.entries.insert(key, Arc::new(entry));
    }

    /// Asks for room for more bytes of a copy that is being made.
    fn reserve(&self, bytes: u64) -> bool {
        let before = self.0.copying.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.0.capacity;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    fn release(&self, bytes: u64) {
        self.0.copying.fetch_sub(bytes, Ordering::Relaxed);
    }
}

struct Malformed;

/// The length that the head declares. One that can't be read, or several that differ, can't be trusted.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut declared = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let length = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).ok_or(Malformed)?;
        if declared.replace(length).is_some_and(|other| other != length) {
            return Err(Malformed);
        }
    }
    Ok(declared)
}

/// The same fields with values in one allocation of just their size: as they come from the connection
/// they would keep its whole read buffer alive.
fn compact(headers: &HeaderMap) -> HeaderMap {
    let mut text = Vec::with_capacity(headers.values().map(HeaderValue::len).sum());
    for value in headers.values() {
        text.extend_from_slice(value.as_bytes());
    }
    let mut text = Bytes::from(text);
    let mut compact = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // What was a value is one still; the clone is for a compiler that can't know.
        let mut copy =
            HeaderValue::from_maybe_shared(text.split_to(value.len())).unwrap_or_else(|_| value.clone());
        copy.set_sensitive(value.is_sensitive());
        compact.append(name.clone(), copy);
    }
    compact
}

#[cfg(test)]
mod tests {
    use http::header::VARY;
    use http_body_util::BodyExt;
    use tollgate_core::{
        body::BodyError,
        cache::{Declared, Owner},
    };

    use super::{tee::tests::chunked, *};

    const MEGABYTE: u64 = 1 << 20;

    fn key(target: &str) -> CacheKey {
        CacheKey::new("scope", &Owner::Anyone(Declared::ByPolicy), "example.org", target)
    }

    fn lifetime() -> Lifetime {
        Lifetime { stored_at: 0, expires_at: 1_000, vary: vec![] }
    }

    fn head(length: Option<&str>) -> response::Parts {
        let mut response = Response::builder().status(203).header("x-kept", "yes");
        if let Some(length) = length {
            response = response.header(header::CONTENT_LENGTH, length);
        }
        response.body(()).unwrap().into_parts().0
    }

    fn chunks<const N: usize>(chunks: [Result<&'static str, BodyError>; N]) -> NativeBody {
        chunked(chunks.map(|chunk| chunk.map(|text| Bytes::from_static(text.as_bytes()))))
    }

    async fn bytes(body: NativeBody) -> Result<Bytes, BodyError> {
        body.collect().await.map(http_body_util::Collected::to_bytes)
    }

    /// Stores under `/` with a limit of 10 bytes and reads to the end; what a later load gets.
    async fn round(length: Option<&str>, body: NativeBody) -> Option<Bytes> {
        let cache = ResponseCache::new(MEGABYTE);
        let body = cache.store(key("/"), lifetime(), &head(length), body, 10);
        assert!(cache.load(&key("/")).is_none(), "stored before it has ended");
        let _ = bytes(body).await;
        assert_eq!(cache.0.copying.load(Ordering::Relaxed), 0);
        Some(bytes(cache.load(&key("/"))?.response.into_body()).await.unwrap())
    }

    #[tokio::test]
    async fn what_has_ended_well_is_found_again() {
        assert_eq!(round(None, chunks([Ok("hello"), Ok("world")])).await.unwrap(), "helloworld");
        assert_eq!(round(Some("10"), chunks([Ok("hello"), Ok("world")])).await.unwrap(), "helloworld");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_stored() {
        let broken = Err(BodyError::Broken("reset".to_owned()));
        assert_eq!(round(None, chunks([Ok("hello"), broken])).await, None);
    }

    #[tokio::test]
    async fn a_body_that_is_larger_than_allowed_is_not_stored() {
        assert_eq!(round(None, chunks([Ok("hello"), Ok("world!")])).await, None);
        assert_eq!(round(Some("11"), chunks([Ok("hello"), Ok("world!")])).await, None);
    }

    #[tokio::test]
    async fn a_body_of_another_length_than_declared_is_not_stored() {
        assert_eq!(round(Some("6"), chunks([Ok("hello")])).await, None);
        assert_eq!(round(Some("4"), chunks([Ok("hello")])).await, None);
        assert_eq!(round(Some("5, 5"), chunks([Ok("hello")])).await, None);
    }

    #[tokio::test]
    async fn the_client_gets_the_whole_body_even_if_it_is_not_stored() {
        let cache = ResponseCache::new(MEGABYTE);
        let long = chunks([Ok("hello"), Ok(" beautiful"), Ok(" world")]);
        let body = cache.store(key("/"), lifetime(), &head(None), long, 10);
        assert_eq!(bytes(body).await.unwrap(), "hello beautiful world");
        assert!(cache.load(&key("/")).is_none());
    }

    #[tokio::test]
    async fn a_body_whose_reader_left_is_not_stored() {
        let cache = ResponseCache::new(MEGABYTE);
        let body = chunks([Ok("hello"), Ok("world")]);
        let mut body = cache.store(key("/"), lifetime(), &head(None), body, 10);
        assert!(body.frame().await.is_some());
        assert_eq!(cache.0.copying.load(Ordering::Relaxed), 5);
        drop(body);
        assert_eq!(cache.0.copying.load(Ordering::Relaxed), 0);
        assert!(cache.load(&key("/")).is_none());
    }

    #[tokio::test]
    async fn a_reader_that_stops_at_the_declared_length_has_read_all() {
        // As hyper does: when the last byte is written it does not ask for the end.
        let cache = ResponseCache::new(MEGABYTE);
        let mut body = cache.store(key("/"), lifetime(), &head(Some("5")), chunks([Ok("hello")]), 10);
        assert!(body.frame().await.is_some());
        drop(body);
        assert!(cache.load(&key("/")).is_some());
    }

    #[test]
    fn an_empty_body_is_stored_at_once() {
        let cache = ResponseCache::new(MEGABYTE);
        cache.store(key("/"), lifetime(), &head(None), NativeBody::empty(), 0);
        assert!(cache.load(&key("/")).is_some());
    }

    #[test]
    fn a_signpost_is_stored_whatever_length_its_head_declares() {
        let cache = ResponseCache::new(MEGABYTE);
        let signpost = Lifetime { vary: vec![VARY], ..lifetime() };
        cache.store(key("/"), signpost.clone(), &head(Some("70")), NativeBody::empty(), 10);
        assert_eq!(cache.load(&key("/")).unwrap().lifetime, signpost);
    }

    #[tokio::test]
    async fn status_and_fields_are_kept_and_extensions_are_not() {
        let cache = ResponseCache::new(MEGABYTE);
        let mut head = head(None);
        head.extensions.insert(7_u8);
        head.headers.append("x-kept", HeaderValue::from_static("twice"));
        drop(cache.store(key("/"), lifetime(), &head, NativeBody::empty(), 10));
        let stored = cache.load(&key("/")).unwrap();
        assert_eq!(stored.response.status(), 203);
        assert_eq!(stored.response.headers(), &head.headers);
        assert!(stored.response.extensions().is_empty());
        assert_eq!(stored.lifetime, lifetime());
    }

    #[tokio::test]
    async fn entries_are_told_apart_by_their_keys() {
        let cache = ResponseCache::new(MEGABYTE);
        for (target, text) in [("/a", "a"), ("/b", "b")] {
            let body = cache.store(key(target), lifetime(), &head(None), chunks([Ok(text)]), 10);
            bytes(body).await.unwrap();
        }
        let stored = cache.load(&key("/a")).unwrap().response.into_body();
        assert_eq!(bytes(stored).await.unwrap(), "a");
        assert!(cache.load(&key("/a").varied(&[VARY], &HeaderMap::new())).is_none());
    }

    #[tokio::test]
    async fn an_evicted_entry_is_a_miss_and_the_bound_holds() {
        let cache = ResponseCache::new(MEGABYTE);
        for n in 0..200 {
            let body = chunked([Ok(Bytes::from(vec![b'x'; 10_000]))]);
            let body = cache.store(key(&format!("/{n}")), lifetime(), &head(None), body, 20_000);
            bytes(body).await.unwrap();
            assert!(cache.bytes() <= MEGABYTE);
        }
        let kept = (0..200).filter(|n| cache.load(&key(&format!("/{n}"))).is_some()).count();
        assert!((50..=104).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn copies_under_way_are_bounded_too() {
        let cache = ResponseCache::new(100);
        let body = || chunked([Ok(Bytes::from(vec![b'x'; 60])), Ok(Bytes::from(vec![b'x'; 60]))]);
        let mut first = cache.store(key("/a"), lifetime(), &head(None), body(), 1_000);
        let mut second = cache.store(key("/b"), lifetime(), &head(None), body(), 1_000);
        assert!(first.frame().await.is_some() && second.frame().await.is_some());
        assert_eq!(cache.0.copying.load(Ordering::Relaxed), 60);
    }

    #[test]
    fn a_cache_without_room_stores_nothing() {
        let cache = ResponseCache::new(0);
        cache.store(key("/"), lifetime(), &head(None), NativeBody::empty(), 10);
        assert!(cache.load(&key("/")).is_none());
    }

    #[test]
    fn a_stored_head_does_not_hold_the_buffer_it_was_read_into() {
        let buffer = Bytes::from(vec![b'v'; 100_000]);
        let mut headers = HeaderMap::new();
        headers.insert("x", HeaderValue::from_maybe_shared(buffer.slice(..10)).unwrap());
        let compact = compact(&headers);
        drop(headers);
        assert!(buffer.is_unique());
        assert_eq!(compact["x"], "vvvvvvvvvv");
    }
}
