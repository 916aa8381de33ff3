#!/usr/bin/env node
/**
 * The face-api.js baseline: TinyFaceDetector and FaceExpressionNet on the original photos of one split.
 * Rows are independent of each other, so the results of a split's parts, joined, are those of the whole.
 */
import { readArgs } from './lib/args.mjs';
import { prepareTarget, readRows, writeProbabilities, writeResults } from './lib/csv.mjs';
import { InputError, oneLine } from './lib/errors.mjs';
import { evaluate } from './lib/evaluate.mjs';
import { labelReader } from './lib/labels.mjs';
import { resultOf, summary } from './lib/results.mjs';

/** A killed parent cannot stop its children, and an orphan would go on to overwrite a later run's results. */
function exitWithParent() {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && process.exit(1), 1000).unref();
}

async function main() {
  const started = performance.now();
  exitWithParent();
  const args = readArgs(process.argv.slice(2));
  const rows = readRows(args.csv, labelReader(args.labelMap));
  const targets = [args.results, args.probabilities].filter((file) => file !== undefined);
  targets.forEach(prepareTarget);
  // Loaded only now, so that a mistake in the arguments or the CSV is reported at once.
  const [{ loadPhoto }, { loadFaceFinder }] = await Promise.all([import('./lib/photo.mjs'), import('./lib/faces.mjs')]);
  const findFaces = await loadFaceFinder(args.modelsDir, args);
  const load = (row) => loadPhoto(args.projectRoot, row);
  const outcomes = await evaluate(rows, load, findFaces, console.error);
  if (args.probabilities !== undefined) writeProbabilities(args.probabilities, outcomes.map(({ face }) => face));
  writeResults(args.results, outcomes.map(({ row, face }) => resultOf(row, face)));
  console.log(summary(outcomes, (performance.now() - started) / 1000));
}

try {
  await main();
} catch (error) {
  const mistake = error instanceof InputError;
  console.error(`eval_faceapi: ${mistake ? oneLine(error.message) : error.stack}`);
  process.exitCode = mistake ? 2 : 1;
}
