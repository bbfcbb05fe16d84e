// Makes a component of a plugin: `node build.mjs <plugin.js> <world> <wit folder> <component.wasm>`. `build.sh` runs it from
// the folder where the tools are installed, because node looks for packages beside the program.

import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { componentize } from '@bytecodealliance/componentize-js';

const [source, world, wit, out] = process.argv.slice(2);
if (out === undefined) {
  console.error('usage: node build.mjs <plugin.js> <world> <wit folder> <component.wasm>');
  process.exit(2);
}

// A collector may use `fetch`. Every other kind is pure: it has nothing to fetch, and no clock or chance of its own.
const disableFeatures = world === 'collector-plugin' ? ['fetch-event'] : ['random', 'clocks', 'http', 'fetch-event'];
const { component } = await componentize({
  sourcePath: resolve(source),
  witPath: resolve(wit),
  worldName: world,
  disableFeatures,
});
await mkdir(dirname(resolve(out)), { recursive: true });
await writeFile(`${out}.writing`, component);
await rename(`${out}.writing`, out);
console.log(`built ${out} (${Math.round(component.length / 1024)} KiB)`);
