//! The bodies of requests, of which no more is held than there may be.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::{BODY_BYTES_MAX, HELD_BYTES_MAX};

/// How many bytes of requests are held.
#[derive(Debug, Default)]
pub(super) struct Held(AtomicUsize);

/// A part of what may be held, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share<'h> {
    held: &'h Held,
    bytes: usize,
}

/// A body with its share.
#[derive(Debug)]
pub(super) struct Whole<'h> {
    pub bytes: Bytes,
    pub share: Share<'h>,
}

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is larger than any may be.
    TooLarge,
    /// There is no room now.
    NoRoom,
    /// It is not what it should be, or does not come to its end.
    Broken(&'static str),
}

impl Held {
    pub fn share(&self) -> Share<'_> {
        Share { held: self, bytes: 0 }
    }

    /// Reads a body to its end.
    pub async fn whole(&self, mut body: Incoming) -> Result<Whole<'_>, Refused> {
        let mut share = self.share();
        let told = body.size_hint().lower();
        // Whoever says that it is too large need not send it.
        if told > BODY_BYTES_MAX as u64 {
            return Err(Refused::TooLarge);
        }
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refused::Broken("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if let Err(refused) = share.take(data.len()) {
                drop((bytes, share));
                pass_over(body).await;
                return Err(refused);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Whole { bytes: bytes.freeze(), share })
    }
}

/// Reads what is refused, if it is not far too much: a connection that is closed with something unread in it takes the
/// answer with it.
async fn pass_over(mut body: Incoming) {
    let mut passed = 0;
    while let Some(Ok(frame)) = body.frame().await {
        passed += frame.data_ref().map_or(0, Bytes::len);
        if passed > BODY_BYTES_MAX {
            return;
        }
    }
}

impl Share<'_> {
    /// Takes so many bytes more.
    pub fn take(&mut self, bytes: usize) -> Result<(), Refused> {
        if self.bytes + bytes > BODY_BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        let room = |held: usize| held.checked_add(bytes).filter(|held| *held <= HELD_BYTES_MAX);
        self.held.0.fetch_update(Relaxed, Relaxed, room).map_err(|_| Refused::NoRoom)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Relaxed);
    }
}

impl<'h> Whole<'h> {
    /// What was compressed with gzip.
    pub fn inflated(self) -> Result<Whole<'h>, Refused> {
        let held = self.share.held;
        let mut share = held.share();
        let mut decoder = MultiGzDecoder::new(&*self.bytes);
        let mut bytes = Vec::new();
        let mut piece = [0; 16 << 10];
        loop {
            match decoder.read(&mut piece) {
                Ok(0) => return Ok(Whole { bytes: bytes.into(), share }),
                Ok(read) => {
                    share.take(read)?;
                    bytes.extend_from_slice(&piece[..read]);
                }
                Err(_) => return Err(Refused::Broken("the body is not what gzip makes")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn whole<'h>(held: &'h Held, plain: &[u8]) -> Whole<'h> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        let bytes = encoder.finish().unwrap();
        let mut share = held.share();
        share.take(bytes.len()).unwrap();
        Whole { bytes: bytes.into(), share }
    }

    #[test]
    fn a_bomb_is_stopped_where_it_gets_too_large() {
        let held = Held::default();
        let bomb = whole(&held, &vec![0; BODY_BYTES_MAX + 1]);
        assert_eq!(bomb.inflated().unwrap_err(), Refused::TooLarge);
        assert_eq!(held.0.load(Relaxed), 0, "all is given back");
    }

    #[test]
    fn what_fits_is_inflated_and_counted() {
        let held = Held::default();
        let small = whole(&held, &[7; 1_000]).inflated().unwrap();
        assert_eq!((small.bytes.len(), held.0.load(Relaxed)), (1_000, 1_000));
    }

    #[test]
    fn all_together_have_a_maximum() {
        let held = Held::default();
        let mut shares: Vec<_> = (0..HELD_BYTES_MAX / BODY_BYTES_MAX).map(|_| held.share()).collect();
        shares.iter_mut().for_each(|share| share.take(BODY_BYTES_MAX).unwrap());
        assert_eq!(held.share().take(1), Err(Refused::NoRoom));
        shares.pop();
        assert_eq!(held.share().take(1), Ok(()));
    }

    #[test]
    fn what_is_not_gzip_is_broken() {
        let held = Held::default();
        let odd = Whole { bytes: Bytes::from_static(b"{}"), share: held.share() };
        assert!(matches!(odd.inflated(), Err(Refused::Broken(_))));
    }
}
