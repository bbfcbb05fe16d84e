// The running mean and standard deviation of one series, by Welford's method (Technometrics 4(3), 1962).

/** How many points are learnt before the first is scored. */
const WARMUP_POINTS = 10;
/** A value this many standard deviations away scores 1. */
const LIMIT_DEVIATIONS = 3;
/** The first byte of the state; another one is refused. */
const STATE_VERSION = 1;
/** The version, then count, mean and squares in little-endian order. */
const STATE_BYTES = 25;

export class Mean {
  count = 0;
  mean = 0;
  squares = 0;

  /** Whether there are too few points yet. */
  isWarming() {
    return this.count < WARMUP_POINTS;
  }

  /** Judges a value by the points before it. */
  judge(value) {
    const limit = LIMIT_DEVIATIONS * Math.sqrt(this.squares / this.count);
    const distance = Math.abs(value - this.mean);
    const score = limit > 0 ? distance / limit : Number(distance > 0);
    return { score, low: this.mean - limit, high: this.mean + limit };
  }

  /** Takes a value in; what is no number is left out. */
  learn(value) {
    if (!Number.isFinite(value)) return;
    this.count++;
    const before = value - this.mean;
    this.mean += before / this.count;
    this.squares += before * (value - this.mean);
  }

  save() {
    const view = new DataView(new ArrayBuffer(STATE_BYTES));
    view.setUint8(0, STATE_VERSION);
    view.setBigUint64(1, BigInt(this.count), true);
    view.setFloat64(9, this.mean, true);
    view.setFloat64(17, this.squares, true);
    return new Uint8Array(view.buffer);
  }

  /** The state that `save` wrote, or nothing when it is another one. */
  static load(state) {
    if (state.length !== STATE_BYTES || state[0] !== STATE_VERSION) return undefined;
    const view = new DataView(state.buffer, state.byteOffset, STATE_BYTES);
    const mean = new Mean();
    mean.count = Number(view.getBigUint64(1, true));
    mean.mean = view.getFloat64(9, true);
    mean.squares = view.getFloat64(17, true);
    return mean;
  }
}
