/**
 * Numbers and columns that the evaluators in Python and in Node share, as they are written in Python:
 * search_spaces/runbook.py, trainable/data/tables.py, faceapi/contract/. A test holds both sides equal.
 */
import { readFileSync } from 'node:fs';

/** face-api's classes in the order of FaceExpressionNet's outputs, and the other names for them. */
export const { classes: CLASSES, aliases: ALIASES } = JSON.parse(
  readFileSync(new URL('../../contract/labels.json', import.meta.url), 'utf8'),
);

/** A row is matched when a face was detected with at least this IoU (runbook section 6). */
export const IOU_THRESHOLD = 0.3;

export const IMAGE_COLUMNS = ['path', 'image', 'img', 'src'];
export const LABEL_COLUMNS = ['label_en', 'orig_kor', 'label'];
export const BOX_COLUMNS = ['minX', 'minY', 'maxX', 'maxY'];
/** What the boxes' pixels are counted in, and whether that is the upright photo. */
export const FRAME_COLUMN = 'frame';
export const FRAMES = { '': false, stored: false, upright: true };
export const RESULT_COLUMNS = ['image', 'gt_label', 'pred_label', 'score', 'face_detected', 'iou', 'correct'];

export const MAX_PIXELS = 0x3fff ** 2;
export const MAX_SIDE = 6000;
