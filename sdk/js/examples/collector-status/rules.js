// From a status page to series, and from series to their meaning.

const serviceEntity = (name) => ({
  kind: 'service',
  keys: [{ scheme: 'name', value: name, strength: 'local' }],
  name,
  attributes: [],
});

/**
 * The series of a page `{"service": "chat", "healthy": true, "queue_depth": 3, "requests": 120}`, and the service; nothing
 * when the page is another one. The cursor counts the calls, in decimal digits.
 */
export function collection(now, page, cursor) {
  const { service, healthy, queue_depth: queueDepth, requests } = page ?? {};
  const calls = Number(cursor === '' ? 0 : cursor) + 1;
  const fits = typeof service === 'string' && typeof healthy === 'boolean';
  if (!fits || typeof queueDepth !== 'number' || typeof requests !== 'number' || !Number.isInteger(calls)) return undefined;
  const values = [
    ['status_healthy', 'gauge', Number(healthy)],
    ['status_queue_depth', 'gauge', queueDepth],
    ['status_requests_total', 'counter', requests],
    ['status_calls_total', 'counter', calls],
  ];
  const labels = [{ name: 'service', value: service }];
  return {
    series: values.map(([metric, metricType]) => ({ metric, metricType, unit: '', labels })),
    points: values.map(([, , value], series) => ({ series, at: BigInt64Array.of(now), value: Float64Array.of(value) })),
    entities: [serviceEntity(service)],
    relations: [],
    events: [],
    cursor: new TextEncoder().encode(String(calls)),
  };
}

const UNHEALTHY = {
  code: 'service.unhealthy',
  condition: { tag: 'within', val: { low: 0, high: 0 } },
  severity: 'critical',
  title: 'the service calls itself unhealthy',
  advice: "Look at the service's own log.",
  resting: undefined,
  restSeconds: 0,
};

/** Metric to canonical name, unit and fault rules. */
const MEANINGS = new Map([
  ['status_healthy', ['service.healthy', '1', [UNHEALTHY]]],
  ['status_queue_depth', ['service.queue.depth', '{request}', []]],
  ['status_requests_total', ['service.requests', '{request}', []]],
]);

/** The meaning of the page's series. */
export function interpret(series) {
  const entities = [];
  const meanings = [];
  series.forEach(({ metric, labels }, index) => {
    const service = labels.find(({ name }) => name === 'service')?.value;
    const known = MEANINGS.get(metric);
    if (service === undefined || known === undefined) return;
    let entity = entities.findIndex(({ name }) => name === service);
    if (entity < 0) entity = entities.push(serviceEntity(service)) - 1;
    const [name, unit, faultRules] = known;
    meanings.push({ series: index, entity, name, unit, scale: 1, offset: 0, missing: [], dimensions: [], faultRules });
  });
  return { entities, relations: [], meanings };
}
