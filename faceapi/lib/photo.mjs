import { readFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { decodeBmp, isBmp } from './bmp.mjs';
import { oneLine } from './errors.mjs';

// One decoding thread and no operation cache: shards run side by side, and memory must stay flat.
sharp.concurrency(1);
sharp.cache(false);

// The wasm heap ends at 4 GB, which takes the whole process down: the detector pads to a square and works on
// several 32-bit copies of it, so a photo of 90 megapixels is too much. Only photos beyond this are shrunk.
const MAX_SIDE = 6000;

// sharp reads more, drawings among them; these are the ones that the onnx engine reads too ("raw" is our own BMP).
const FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'raw'];

/** The same Korean name may be stored composed (Linux, Windows) or decomposed (macOS, some archives). */
async function readBytes(root, image) {
  const relative = image.replaceAll('\\', '/');
  const spellings = new Set([relative, relative.normalize('NFC'), relative.normalize('NFD')]);
  for (const spelling of spellings) {
    try {
      return await readFile(path.resolve(root, spelling));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
  throw new Error('no such file');
}

function open(bytes) {
  const options = { failOn: 'error', ignoreIcc: true };
  if (!isBmp(bytes)) return sharp(bytes, options);
  const { data, width, height } = decodeBmp(bytes);
  return sharp(data, { ...options, raw: { width, height, channels: 3 } });
}

/**
 * {pixels, width, height, scale}: 8-bit RGB, and how many stored pixels one of its pixels spans; {reason} if the
 * photo cannot be read. Never rejects, so that a photo may be decoded ahead of its turn. EXIF orientation is NOT
 * applied: the boxes of the CSV are in stored pixels, and an upright copy would be of another frame.
 */
export async function loadPhoto(root, image) {
  try {
    const photo = open(await readBytes(root, image));
    const stored = await photo.metadata();
    if (!FORMATS.includes(stored.format)) throw new Error('unsupported image format');
    const { data, info } = await photo
      .resize({ width: MAX_SIDE, height: MAX_SIDE, fit: 'inside', withoutEnlargement: true })
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels`);
    const scale = Math.max(stored.width, stored.height) / Math.max(info.width, info.height);
    return { pixels: data, width: info.width, height: info.height, scale };
  } catch (error) {
    return { reason: oneLine(error.message) };
  }
}
