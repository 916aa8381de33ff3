/** Uncompressed BMP, which sharp does not read: 1, 4, 8, 24 and 32 bits a pixel. */

const UNCOMPRESSED = 0;
const BIT_FIELDS = 3;

export function isBmp(bytes) {
  return bytes.length > 26 && bytes.toString('latin1', 0, 2) === 'BM';
}

function readHeader(bytes) {
  const start = bytes.readUInt32LE(10);
  const size = bytes.readUInt32LE(14);
  if (size === 12) {
    return { start, size, width: bytes.readUInt16LE(18), rows: bytes.readUInt16LE(20), bits: bytes.readUInt16LE(24) };
  }
  const [width, rows, bits] = [bytes.readInt32LE(18), bytes.readInt32LE(22), bytes.readUInt16LE(28)];
  const compression = bytes.readUInt32LE(30);
  const known = compression === UNCOMPRESSED || (compression === BIT_FIELDS && bits === 32);
  if (!known || width <= 0 || rows === 0) throw new Error('unsupported kind of BMP');
  return { start, size, width, rows, bits };
}

/** Reads one row's pixels: (offset of the row, x) -> offset of its blue, green, red. */
function pixelReader(bytes, { size, bits }) {
  if (bits === 24 || bits === 32) return (row, x) => row + (x * bits) / 8;
  if (![1, 4, 8].includes(bits)) throw new Error('unsupported kind of BMP');
  const palette = 14 + size;
  const entry = size === 12 ? 3 : 4;
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  return (row, x) => {
    const shift = 8 - bits * (1 + (x % perByte));
    return palette + entry * ((bytes[row + Math.floor(x / perByte)] >> shift) & mask);
  };
}

/** {data, width, height}: 8-bit RGB, top row first. */
export function decodeBmp(bytes) {
  const header = readHeader(bytes);
  const { start, width, rows, bits } = header;
  const height = Math.abs(rows);
  const stride = Math.ceil((width * bits) / 32) * 4;
  const needed = start + stride * (height - 1) + Math.ceil((width * bits) / 8); // the last row's padding may be missing
  if (needed > bytes.length) throw new Error('the BMP ends too early');
  const at = pixelReader(bytes, header);
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0, to = 0; y < height; y += 1) {
    const row = start + stride * (rows > 0 ? height - 1 - y : y);
    for (let x = 0; x < width; x += 1, to += 3) {
      const from = at(row, x);
      data[to] = bytes[from + 2];
      data[to + 1] = bytes[from + 1];
      data[to + 2] = bytes[from];
    }
  }
  return { data, width, height };
}
