// The smallest useful detector: how far a value lies from the running mean, in units of three running standard deviations.

import { Mean } from './rules.js';

const failure = (code, message) => ({ code, message, retry: false });

export const about = {
  describe: () => ({
    name: 'detector-mean-js',
    version: '1.0.0',
    summary: 'Scores each point by its distance to the running mean.',
    configSchema: '',
    interests: [
      {
        selector: { metrics: ['model.*'], entityKinds: [], labels: [], withFaultRules: false },
        scope: 'series',
        historySeconds: 3600,
      },
    ],
    capabilities: [],
  }),
};

class Watch {
  constructor() {
    this.groups = new Map();
  }

  join(groups, history) {
    for (const { id, members } of groups) {
      if (members.length !== 1) throw failure('unsupported', `group ${id} has ${members.length} members; this detector takes one`);
      this.groups.set(id, new Mean());
    }
    for (const frame of history) {
      const mean = this.known(frame.group);
      for (const value of frame.value) mean.learn(value);
    }
  }

  leave(groups) {
    for (const id of groups) this.groups.delete(id);
  }

  observe(batch) {
    for (const { group, at, value } of batch) {
      this.known(group);
      if (at.length !== value.length) throw failure('malformed', `the frame of group ${group} has columns of unequal length`);
    }
    return { scores: batch.map((frame) => this.answer(frame)).filter(({ at }) => at.length > 0), faults: [] };
  }

  answer({ group, at, value }) {
    const mean = this.known(group);
    const points = value.length;
    const columns = { at: new BigInt64Array(points), score: new Float64Array(points), low: new Float64Array(points), high: new Float64Array(points) };
    let answered = 0;
    let warming = 0;
    for (let i = 0; i < points; i++) {
      if (!Number.isFinite(value[i])) continue;
      const judged = mean.isWarming() ? { score: 0, low: NaN, high: NaN } : mean.judge(value[i]);
      if (mean.isWarming()) warming++;
      columns.at[answered] = at[i];
      columns.score[answered] = judged.score;
      columns.low[answered] = judged.low;
      columns.high[answered] = judged.high;
      answered++;
      mean.learn(value[i]);
    }
    for (const name in columns) columns[name] = columns[name].slice(0, answered);
    return { group, ...columns, attributions: [], warming };
  }

  snapshot(groups) {
    const ids = groups.length > 0 ? [...groups] : [...this.groups.keys()];
    return ids.map((group) => ({ group, state: this.known(group).save() }));
  }

  known(group) {
    const mean = this.groups.get(group);
    if (mean === undefined) throw failure('malformed', `group ${group} is not watched; it must join first`);
    return mean;
  }
}

function checkConfig(config) {
  if (config.trim() !== '' && Object.keys(JSON.parse(config)).length > 0) {
    throw failure('misconfigured', 'this plugin takes no configuration');
  }
}

export const detector = {
  Watch,

  open(config) {
    checkConfig(config);
    return new Watch();
  },

  restore(config, groups, states) {
    checkConfig(config);
    const watch = new Watch();
    watch.join(groups, []);
    for (const { group, state } of states) {
      watch.known(group);
      const mean = Mean.load(state);
      if (mean === undefined) throw failure('unsupported', `the state of group ${group} is of another version`);
      watch.groups.set(group, mean);
    }
    return watch;
  },
};
