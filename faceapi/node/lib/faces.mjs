import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

// By file name: the package's default entry loads tfjs-node, a native build that is not installed here.
import faceapi from '@vladmandic/face-api/dist/face-api.node-wasm.js';

import { CLASSES } from './contract.mjs';
import { InputError, oneLine } from './errors.mjs';

// This is face-api's own tfjs. A second copy would have no backend, and the networks would not accept its tensors.
const { tf } = faceapi;
const { tinyFaceDetector, faceExpressionNet } = faceapi.nets;

async function startBackend() {
  const wasm = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  tf.setWasmPaths(path.dirname(wasm) + path.sep);
  await tf.setBackend('wasm');
  await tf.ready();
  // Without a word, tfjs would fall back to its plain JavaScript backend, which is many times slower.
  if (tf.getBackend() !== 'wasm') throw new Error(`the wasm backend did not start (got "${tf.getBackend()}")`);
}

/** The manifest names its weight files, so the `-shard1` and the `.bin` release of a network load alike. */
async function loadNetwork(network, modelsDir) {
  const manifest = path.join(modelsDir, `${network.getDefaultModelName()}-weights_manifest.json`);
  if (!existsSync(manifest)) throw new InputError(`models folder ${modelsDir}: no ${path.basename(manifest)}`);
  try {
    const files = JSON.parse(readFileSync(manifest, 'utf8')).flatMap((group) => group.paths);
    const missing = files.filter((file) => !existsSync(path.join(modelsDir, file)));
    if (missing.length > 0) throw new Error(`missing ${missing.join(', ')}`);
    await network.loadFromDisk(modelsDir);
  } catch (error) {
    throw new InputError(`models folder ${modelsDir}: ${path.basename(manifest)}: ${oneLine(error.message)}`);
  }
}

/**
 * Pairs detections with their expressions, and leaves out the detections that lie wholly outside the photo. (The square
 * input is padded, so there are some.) face-api makes no crop for them, but assigns expressions by position, so that
 * later faces would get the expressions of their neighbours.
 */
export function pairWithCrops(found, width, height) {
  const cropped = found.filter(({ detection }) => {
    const crop = detection.box.clipAtImageBorders(width, height);
    return crop.width > 0 && crop.height > 0;
  });
  return cropped.map(({ detection }, index) => ({ detection, expressions: found[index].expressions }));
}

/** Whether the shorter side of a photo rounds to no pixel of the input; face-api would divide by it. */
function isTooThin({ width, height }, inputSize) {
  const scale = inputSize / Math.max(width, height);
  return Math.round(Math.min(width, height) * scale) === 0;
}

function toFace({ detection: { box, score }, expressions }, scale) {
  return {
    box: { minX: box.left * scale, minY: box.top * scale, maxX: box.right * scale, maxY: box.bottom * scale },
    score,
    expression: expressions.asSortedArray()[0].expression,
    probabilities: CLASSES.map((name) => expressions[name]),
  };
}

/**
 * Loads both networks; returns a function from a photo to its faces: {box, score, expression, probabilities}, boxes in
 * stored pixels.
 */
export async function loadFaceFinder(modelsDir, { inputSize, scoreThreshold }) {
  await startBackend();
  for (const network of [tinyFaceDetector, faceExpressionNet]) await loadNetwork(network, modelsDir);
  const options = new faceapi.TinyFaceDetectorOptions({ inputSize, scoreThreshold });

  return async (photo) => {
    if (isTooThin(photo, inputSize)) return [];
    const { pixels, width, height, scale } = photo;
    const tensor = tf.tensor3d(pixels, [height, width, 3], 'int32');
    try {
      const found = await faceapi.detectAllFaces(tensor, options).withFaceExpressions();
      return pairWithCrops(found, width, height).map((face) => toFace(face, scale));
    } finally {
      tensor.dispose();
    }
  };
}
