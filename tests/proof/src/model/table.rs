use std::hash::{Hash, Hasher};

/// A 64-bit fingerprint of a value, never 0, the same in every run.
///
/// Two systems that share one would be taken for the same. Among 10 million the chance that any two do is
/// 3 in a million.
pub(super) fn fingerprint(value: &impl Hash) -> u64 {
    let mut mixer = Mixer(0x243f_6a88_85a3_08d3);
    value.hash(&mut mixer);
    mixer.finish().max(1)
}

/// Fingerprints seen so far, each with the one it was reached from. Open addressing, 16 bytes a place.
#[derive(Debug)]
pub(super) struct Table {
    places: Vec<(u64, u64)>,
    used: usize,
}

struct Mixer(u64);

impl Table {
    pub(super) fn new() -> Self {
        Self {
            places: vec![(0, 0); 1 << 16],
            used: 0,
        }
    }

    /// Remembers `key`; false if it was there.
    pub(super) fn insert(&mut self, key: u64, parent: u64) -> bool {
        if self.used * 4 > self.places.len() * 3 {
            self.double();
        }
        let place = self.find(key);
        let free = self.places[place].0 == 0;
        if free {
            self.places[place] = (key, parent);
            self.used += 1;
        }
        free
    }

    /// What `key` was reached from.
    pub(super) fn parent(&self, key: u64) -> u64 {
        self.places[self.find(key)].1
    }

    pub(super) const fn len(&self) -> usize {
        self.used
    }

    pub(super) const fn bytes(&self) -> usize {
        self.places.len() * size_of::<(u64, u64)>()
    }

    /// Where `key` is, or the free place where it belongs.
    fn find(&self, key: u64) -> usize {
        let mask = self.places.len() - 1;
        let mut place = (key >> 7) as usize & mask;
        while self.places[place].0 != key && self.places[place].0 != 0 {
            place = (place + 1) & mask;
        }
        place
    }

    fn double(&mut self) {
        let places = vec![(0, 0); self.places.len() * 2];
        let old = std::mem::replace(&mut self.places, places);
        for (key, parent) in old.into_iter().filter(|(key, _)| *key != 0) {
            let place = self.find(key);
            self.places[place] = (key, parent);
        }
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        // The last steps of splitmix64.
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        let wide = u128::from(self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.0 = (wide as u64) ^ (wide >> 64) as u64;
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }
}
