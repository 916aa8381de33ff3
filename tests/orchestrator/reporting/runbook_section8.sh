python - <<'PY'
import json, csv, os
def load_json(p):
    with open(p,'r',encoding='utf-8') as f: return json.load(f)

def mobilenet_metrics(exp_dir):
    v = load_json(os.path.join(exp_dir,'val_metrics_best.json'))
    t = load_json(os.path.join(exp_dir,'test_metrics.json'))
    return round(v.get('macro_f1',0),4), round(t.get('macro_f1',0),4)

def faceapi_top1(csv_path):
    tot = 0; corr = 0; matched = 0
    with open(csv_path,'r',encoding='utf-8') as f:
        r = csv.DictReader(f)
        for row in r:
            fd = str(row.get('face_detected','0')).lower() in ('1','true')
            iou = float(row.get('iou',0))
            is_match = fd and iou >= 0.30
            tot += 1
            if is_match:
                matched += 1
                corr += int(row.get('correct','0'))
    acc = (corr/matched*100) if matched>0 else 0.0
    cov = (matched/tot*100) if tot>0 else 0.0
    return acc, cov

base = 'models/mobilenetv3_classifier/runs'
pairs = [
 ('M1 Probe',    f'{base}/probe_M1_160'),
 ('M1 Finetune', f'{base}/finetune_M1_160'),
 ('M2 Probe',    f'{base}/probe_M2_160'),
 ('M2 Finetune', f'{base}/finetune_M2_160'),
 ('K7 Finetune', f'{base}/finetune_K7_160'),
]
for name, d in pairs:
    if os.path.exists(d):
        v,t = mobilenet_metrics(d)
        print(f'{name:14s}  val_macroF1={v:.4f}  test_macroF1={t:.4f}')

fa_dir = 'models/faceapi_baseline/results'
for split in ['M1','M2']:
    p = os.path.join(fa_dir, f'faceapi_{split}_eval.csv')
    if os.path.exists(p):
        acc, cov = faceapi_top1(p)
        print(f'FaceAPI {split}: matched Top-1 Acc = {acc:.2f}% (coverage {cov:.2f}%)')
PY
