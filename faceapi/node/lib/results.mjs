import { IOU_THRESHOLD } from './contract.mjs';

/** One result row in the columns of runbook section 6. `correct` compares the labels only; readers filter by IoU. */
export function resultOf(row, face) {
  const result = { image: row.image, gt_label: row.label, pred_label: '', score: 0, face_detected: 0, iou: 0, correct: 0 };
  if (!face) return result;
  return {
    ...result,
    pred_label: face.expression,
    score: face.score.toFixed(6),
    face_detected: 1,
    iou: face.iou.toFixed(6),
    correct: Number(face.expression === row.label),
  };
}

/** The evaluator's last line, from outcomes {face, unreadable}, one for each row. */
export function summary(outcomes, seconds) {
  const count = (test) => outcomes.filter(test).length;
  const matched = count(({ face }) => face && face.iou >= IOU_THRESHOLD);
  return (
    `${outcomes.length} rows, ${count(({ face }) => face)} detected, ` +
    `${matched} matched (IoU >= ${IOU_THRESHOLD.toFixed(2)}), ` +
    `${count(({ unreadable }) => unreadable)} unreadable, ${seconds.toFixed(1)} s`
  );
}
