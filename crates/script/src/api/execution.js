(function (host) {
  'use strict';
  const getters = (pairs) => {
    const to = {};
    for (const name of Object.keys(pairs)) {
      Object.defineProperty(to, name, { get: pairs[name], enumerable: true });
    }
    return to;
  };
  const running = () => {
    const facts = host.facts();
    if (facts.init) throw new Error('init code has no scenario: ask in the default function');
    return facts;
  };
  const tags = new Proxy({}, {
    get: (target, name) => (typeof name === 'string' ? host.tags()[name] : undefined),
    has: (target, name) => typeof name === 'string' && name in host.tags(),
    ownKeys: () => Object.keys(host.tags()),
    getOwnPropertyDescriptor: (target, name) => ({
      value: host.tags()[name],
      enumerable: true,
      configurable: true,
      writable: true,
    }),
    set: (target, name, value) => {
      if (value === null || !['string', 'number', 'boolean'].includes(typeof value)) {
        throw new TypeError('a tag is a string, a number or a boolean');
      }
      host.setTag(name, String(value));
      return true;
    },
    deleteProperty: (target, name) => {
      host.setTag(name, null);
      return true;
    },
  });
  const metadata = {};
  let options;
  const vu = getters({
    idInInstance: () => host.facts().idInInstance,
    idInTest: () => host.facts().idInTest,
    iterationInInstance: () => running().iteration,
    iterationInScenario: () => running().iterationInScenario,
    tags: () => tags,
    metrics: () => ({ tags, metadata }),
  });
  return {
    scenario: getters({
      name: () => running().name,
      executor: () => running().executor,
      startTime: () => Date.now() - (running().now - running().started),
      progress: () => running().progress,
      iterationInInstance: () => running().scenarioIteration,
      iterationInTest: () => running().scenarioIteration,
    }),
    instance: getters({
      iterationsCompleted: () => running().completed,
      iterationsInterrupted: () => running().interrupted,
      vusActive: () => running().active,
      vusInitialized: () => running().initialized,
      currentTestRunDuration: () => host.facts().now,
    }),
    vu,
    test: Object.defineProperty(
      {
        abort(why) {
          host.abort(why === undefined ? '' : String(why));
        },
        fail(why) {
          host.print(3, why === undefined ? 'the test was marked as failed' : String(why));
        },
      },
      'options',
      { get: () => (options ??= host.options()), enumerable: true },
    ),
  };
})
