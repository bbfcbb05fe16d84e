// A small collector: reads a service's JSON status page over HTTP, and says what its numbers mean.

import { collection, interpret } from './rules.js';

const failure = (code, message, retry = false) => ({ code, message, retry });


export const about = {
  describe: () => ({
    name: 'collector-status-js',
    version: '1.0.0',
    summary: "Reads a service's JSON status page.",
    configSchema: '',
    interests: [
      {
        selector: { metrics: ['status_*'], entityKinds: [], labels: [], withFaultRules: false },
        scope: 'target',
        historySeconds: 0,
      },
    ],
    capabilities: [{ name: 'http', value: 'target', reason: 'to fetch the status page' }],
  }),
};

export const mapper = {
  interpret: (_target, series) => interpret(series),
};

async function fetchPage(target) {
  let response;
  try {
    response = await fetch(target, { headers: { accept: 'application/json' } });
  } catch (error) {
    throw failure('unreachable', `GET ${target}: ${error.message ?? error}`, true);
  }
  if (response.status !== 200) throw failure('unreachable', `${target} answered ${response.status}`, true);
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failure('malformed', `the page of ${target} is no JSON: ${error.message}`);
  }
}

export const collector = {
  async collect({ now, target, cursor }) {
    const answer = collection(now, await fetchPage(target), new TextDecoder().decode(cursor));
    if (answer === undefined) throw failure('malformed', `the page of ${target} or the cursor is not as expected`);
    return answer;
  },

  receive() {
    throw failure('unsupported', 'this plugin takes no pushed payloads');
  },
};
