//! Columns of integers: differences of the order that suits, divided by what divides them all, and what is left of them
//! packed evenly (where it is spread evenly over a range) or as Rice codes (where small numbers are frequent).

use super::bits::{BitReader, BitWriter};
use crate::varint::{TOO_SHORT, put_signed, put_varint, take_byte, take_signed, take_varint, unzigzag, zigzag};

/// How residuals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// All are zero, and not written.
    None,
    /// As their distance from the least, each in the same number of bits, or one less.
    Packed,
    /// By Rice codes, small ones on either side of zero.
    RiceSigned,
    /// By Rice codes, as their distance from the least.
    RiceFromLeast,
}

/// The bit of the header that says that a divisor follows.
const DIVIDED: u8 = 1 << 4;
/// Longest run of ones in a Rice code; what is larger is written whole behind it, so that one burst costs eleven bytes at most.
const MAX_ONES: u32 = 20;
/// How many residuals the mean that gives Rice's parameter remembers; it forgets half of them at a time.
const REMEMBERED: u64 = 32;
/// What the first mean counts for.
const FIRST_WEIGHT: u64 = 4;
/// Largest value in the mean, so that its sum stays within 64 bits.
const MAX_LEARNED: u64 = 1 << 56;
/// Bits that one more number before the residuals costs, about.
const NUMBER_BITS: f64 = 16.0;

/// Space that is used again from column to column.
#[derive(Default)]
pub(crate) struct Scratch {
    once: Vec<i64>,
    twice: Vec<i64>,
    from_first: Vec<i64>,
}

/// What decides how residuals are written.
struct Spread {
    least: i64,
    most: i64,
    /// Of their distances from zero.
    mean: f64,
}

impl Spread {
    fn of(residuals: &[i64]) -> Self {
        let (mut least, mut most, mut sum) = (i64::MAX, i64::MIN, 0.0);
        for residual in residuals {
            least = least.min(*residual);
            most = most.max(*residual);
            sum += residual.unsigned_abs() as f64;
        }
        if residuals.is_empty() {
            (least, most) = (0, 0);
        }
        Self { least, most, mean: sum / residuals.len().max(1) as f64 }
    }

    fn range(&self) -> u64 {
        self.most.wrapping_sub(self.least) as u64
    }

    fn mean_from_least(&self) -> f64 {
        self.mean - self.least as f64
    }

    /// About how many bits a residual costs at best, and by which coding.
    fn best(&self) -> (f64, Coding) {
        if self.least == 0 && self.most == 0 {
            return (0.0, Coding::None);
        }
        let mut best = ((self.range() as f64 + 1.0).log2(), Coding::Packed);
        let signed = rice_bits(2.0 * self.mean);
        if signed < best.0 {
            best = (signed, Coding::RiceSigned);
        }
        let from_least = rice_bits(self.mean_from_least());
        if self.least >= 0 && from_least < best.0 {
            best = (from_least, Coding::RiceFromLeast);
        }
        best
    }
}

/// About how many bits a Rice code has for numbers of a mean.
fn rice_bits(mean: f64) -> f64 {
    if mean < 1.0 { 1.0 + mean } else { mean.log2() + 1.5 }
}

fn differences(of: &[i64], into: &mut Vec<i64>) {
    into.clear();
    into.extend(of.iter().zip(of.iter().skip(1)).map(|(earlier, later)| later.wrapping_sub(*earlier)));
}

/// Appends a column; an empty one is no bytes.
pub(crate) fn encode(values: &[i64], scratch: &mut Scratch, bytes: &mut Vec<u8>) {
    let Some(first) = values.first().copied() else { return };
    let Scratch { once, twice, from_first } = scratch;
    differences(values, once);
    let spread = Spread::of(once);
    let (per_residual, coding) = spread.best();
    if coding == Coding::None {
        return write(1, coding, &[first], &spread, once, bytes);
    }
    let count = once.len() as f64;
    differences(once, twice);
    let spread_twice = Spread::of(twice);
    let (per_twice, coding_twice) = spread_twice.best();
    from_first.clear();
    from_first.extend(values.iter().skip(1).map(|value| value.wrapping_sub(first)));
    let spread_from_first = Spread::of(from_first);
    let (per_from_first, coding_from_first) = spread_from_first.best();
    let bits = [per_from_first * count, per_residual * count, per_twice * (count - 1.0) + NUMBER_BITS];
    if bits[2] < bits[0] && bits[2] < bits[1] {
        let slope = once[0];
        write(2, coding_twice, &[first, slope], &spread_twice, twice, bytes);
    } else if bits[0] < bits[1] {
        write(0, coding_from_first, &[first], &spread_from_first, from_first, bytes);
    } else {
        write(1, coding, &[first], &spread, once, bytes);
    }
}

fn write(order: u8, coding: Coding, leading: &[i64], spread: &Spread, residuals: &[i64], bytes: &mut Vec<u8>) {
    let signed = coding == Coding::RiceSigned;
    let base = if signed { 0 } else { spread.least };
    let divisor = if coding == Coding::None { 1 } else { common_divisor(residuals, base) };
    bytes.push(order | (coding as u8) << 2 | if divisor > 1 { DIVIDED } else { 0 });
    leading.iter().for_each(|number| put_signed(bytes, *number));
    if coding == Coding::None {
        return;
    }
    if divisor > 1 {
        put_varint(bytes, divisor);
    }
    if !signed {
        put_signed(bytes, base);
    }
    let from_least = residuals.iter().map(|residual| {
        let distance = residual.wrapping_sub(base) as u64;
        if divisor > 1 { distance / divisor } else { distance }
    });
    match coding {
        Coding::None => {}
        Coding::Packed => {
            let range = spread.range() / divisor;
            put_varint(bytes, range);
            let packing = Packing::of(range);
            let mut bits = BitWriter::new(bytes);
            from_least.for_each(|number| packing.put(number, &mut bits));
            bits.finish();
        }
        Coding::RiceSigned => {
            let divided = |residual: &i64| if divisor > 1 { residual / divisor as i64 } else { *residual };
            let numbers = residuals.iter().map(|residual| zigzag(divided(residual)));
            write_rice(2.0 * spread.mean / divisor as f64, numbers, bytes);
        }
        Coding::RiceFromLeast => write_rice(spread.mean_from_least() / divisor as f64, from_least, bytes),
    }
}

fn write_rice(mean: f64, numbers: impl Iterator<Item = u64>, bytes: &mut Vec<u8>) {
    let start = if mean < 2.0 { 0 } else { mean.log2() as u8 };
    bytes.push(start);
    let mut rice = Rice::new(start);
    let mut bits = BitWriter::new(bytes);
    numbers.for_each(|number| rice.put(number, &mut bits));
    bits.finish();
}

/// What divides the distances of all from `base`; 1 where nothing else does or it is no use.
fn common_divisor(residuals: &[i64], base: i64) -> u64 {
    let mut common = 0;
    for residual in residuals {
        let mut rest = if base == 0 { residual.unsigned_abs() } else { residual.wrapping_sub(base) as u64 };
        while rest != 0 {
            (common, rest) = (rest, common % rest);
        }
        if common == 1 {
            return 1;
        }
    }
    if i64::try_from(common).is_ok() { common.max(1) } else { 1 }
}

/// Numbers of a range in as many bits as the range needs, and the lower ones in a bit less where the range is no power of two.
struct Packing {
    width: u32,
    /// How many numbers are written in a bit less.
    short: u64,
}

impl Packing {
    fn of(range: u64) -> Self {
        let width = u64::BITS - range.leading_zeros();
        let all = 1_u64.checked_shl(width).unwrap_or(0);
        Self { width, short: all.wrapping_sub(range).wrapping_sub(1) }
    }

    #[inline]
    fn put(&self, number: u64, bits: &mut BitWriter<'_>) {
        if self.width == 0 {
            return;
        }
        if number < self.short {
            bits.put(number, self.width - 1);
        } else {
            let code = number.wrapping_add(self.short);
            bits.put(code >> 1, self.width - 1);
            bits.put(code & 1, 1);
        }
    }

    #[inline]
    fn take(&self, bits: &mut BitReader<'_>) -> u64 {
        if self.width == 0 {
            return 0;
        }
        let high = bits.take(self.width - 1);
        if high < self.short { high } else { (high << 1 | bits.take(1)).wrapping_sub(self.short) }
    }
}

/// Rice codes whose parameter follows the mean of what came before.
struct Rice {
    sum: u64,
    count: u64,
}

impl Rice {
    fn new(start: u8) -> Self {
        Self { sum: FIRST_WEIGHT << start.min(56), count: FIRST_WEIGHT }
    }

    #[inline]
    fn parameter(&self) -> u32 {
        let mean = self.sum / self.count;
        u64::BITS - 1 - (mean | 1).leading_zeros()
    }

    #[inline]
    fn learn(&mut self, number: u64) {
        self.sum += number.min(MAX_LEARNED);
        self.count += 1;
        if self.count == REMEMBERED {
            self.sum /= 2;
            self.count /= 2;
        }
    }

    #[inline]
    fn put(&mut self, number: u64, bits: &mut BitWriter<'_>) {
        let parameter = self.parameter();
        let ones = number >> parameter;
        if ones < u64::from(MAX_ONES) {
            bits.put((1 << ones) - 1, ones as u32 + 1);
            bits.put(number & ((1 << parameter) - 1), parameter);
        } else {
            bits.put((1 << MAX_ONES) - 1, MAX_ONES);
            bits.put(number, u64::BITS);
        }
        self.learn(number);
    }

    #[inline]
    fn take(&mut self, bits: &mut BitReader<'_>) -> u64 {
        let parameter = self.parameter();
        let ones = bits.peek().trailing_ones();
        let number = if ones < MAX_ONES {
            bits.skip(ones + 1);
            u64::from(ones) << parameter | bits.take(parameter)
        } else {
            bits.skip(MAX_ONES);
            bits.take(u64::BITS)
        };
        self.learn(number);
        number
    }
}

/// Reads `count` integers into an empty `values`.
pub(crate) fn decode(mut bytes: &[u8], count: usize, values: &mut Vec<i64>) -> Result<(), String> {
    values.clear();
    if count == 0 {
        return Ok(());
    }
    let bytes = &mut bytes;
    values.reserve(count);
    let header = take_byte(bytes)?;
    let order = header & 3;
    let first = take_signed(bytes)?;
    values.push(first);
    let slope = if order == 2 { take_signed(bytes)? } else { 0 };
    if order == 2 && count > 1 {
        values.push(first.wrapping_add(slope));
    }
    let left = count - values.len();
    let last = values.last().copied().unwrap_or(first);
    let mut column = Column { order, first, last, slope, values };
    let coding = header >> 2 & 3;
    if coding == Coding::None as u8 {
        (0..left).for_each(|_| column.add(0));
        return Ok(());
    }
    let divisor = if header & DIVIDED != 0 { take_varint(bytes)? } else { 1 };
    let mut bits;
    if coding == Coding::RiceSigned as u8 {
        let mut rice = Rice::new(take_byte(bytes)?);
        bits = BitReader::new(bytes);
        (0..left).for_each(|_| column.add(unzigzag(rice.take(&mut bits)).wrapping_mul(divisor as i64)));
    } else {
        let base = take_signed(bytes)?;
        let whole = |number: u64| base.wrapping_add(number.wrapping_mul(divisor) as i64);
        if coding == Coding::Packed as u8 {
            let packing = Packing::of(take_varint(bytes)?);
            bits = BitReader::new(bytes);
            (0..left).for_each(|_| column.add(whole(packing.take(&mut bits))));
        } else {
            let mut rice = Rice::new(take_byte(bytes)?);
            bits = BitReader::new(bytes);
            (0..left).for_each(|_| column.add(whole(rice.take(&mut bits))));
        }
    }
    if bits.overran() { Err(TOO_SHORT.into()) } else { Ok(()) }
}

/// A column that grows by residuals.
struct Column<'v> {
    order: u8,
    first: i64,
    last: i64,
    slope: i64,
    values: &'v mut Vec<i64>,
}

impl Column<'_> {
    #[inline]
    fn add(&mut self, residual: i64) {
        match self.order {
            0 => self.last = self.first.wrapping_add(residual),
            1 => self.last = self.last.wrapping_add(residual),
            _ => {
                self.slope = self.slope.wrapping_add(residual);
                self.last = self.last.wrapping_add(self.slope);
            }
        }
        self.values.push(self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn comes_back(values: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode(values, &mut Scratch::default(), &mut bytes);
        let mut back = vec![1];
        decode(&bytes, values.len(), &mut back).expect("decodes");
        assert_eq!(back, values);
        bytes.len()
    }

    proptest! {
        #[test]
        fn columns_come_back(values in prop::collection::vec(any::<i64>(), 0..300)) {
            comes_back(&values);
        }

        #[test]
        fn columns_of_every_spread_come_back(
            first in any::<i64>(), width in 0u32..64, factor in 1i64..5000,
            steps in prop::collection::vec(any::<i64>(), 0..300), level in any::<bool>(),
        ) {
            let mut last = first;
            let values: Vec<i64> = steps.iter().map(|step| {
                let step = (step >> width).wrapping_mul(factor);
                last = if level { first.wrapping_add(step) } else { last.wrapping_add(step) };
                last
            }).collect();
            comes_back(&values);
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), count in 0usize..500) {
            let _ = decode(&bytes, count, &mut Vec::new());
        }
    }

    #[test]
    fn what_is_regular_costs_next_to_nothing() {
        assert!(comes_back(&[42; 480]) <= 3, "constants");
        let even: Vec<i64> = (0..480).map(|step| 1_790_000_000_000 + step * 15_000).collect();
        assert!(comes_back(&even) <= 12, "even steps: {}", comes_back(&even));
        let pages: Vec<i64> = (0..480).map(|step| (step * 7919 % 13) * 4096).collect();
        assert!(comes_back(&pages) <= 260, "13 multiples of a page in 4 bits each: {}", comes_back(&pages));
        let mut bursts = vec![0; 480];
        bursts[100] = i64::MAX;
        assert!(comes_back(&bursts) <= 90, "one burst: {}", comes_back(&bursts));
    }
}
