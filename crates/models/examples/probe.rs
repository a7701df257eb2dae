use nightjar_models::*;
use std::time::Instant;
fn cpu() -> f64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|t| {
            std::fs::read_to_string(t.unwrap().path().join("schedstat"))
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse::<f64>()
                .unwrap()
        })
        .sum::<f64>()
        / 1e9
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let dir = std::path::Path::new(&a[1]);
    let texts = std::fs::read_to_string(&a[2]).unwrap();
    let texts: Vec<&str> = texts.lines().take(a.get(4).map_or(2000, |s| s.parse().unwrap())).collect();
    let threads: usize = a.get(3).map_or(2, |s| s.parse().unwrap());
    let budget: usize = a.get(5).map_or(512, |s| s.parse().unwrap());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let reference = std::fs::read(a.get(6).map_or("/tmp/ref.f32", |s| s)).ok();
    for p in Precision::ALL {
        let t = Instant::now();
        let e =
            TextEncoder::load_with(dir, &EncoderOptions { token_budget: budget, ..EncoderOptions::from(p) })
                .unwrap();
        let load = t.elapsed().as_secs_f64();
        let job = e.prepare(&texts);
        let mut best = f64::MAX;
        let mut cb = f64::MAX;
        let only = std::env::var("ONLY").unwrap_or_default();
        if !only.is_empty() && only != p.name() {
            continue;
        }
        let mut tok = f64::MAX;
        for _ in 0..3 {
            let c = cpu();
            let t = Instant::now();
            let job = e.prepare(&texts);
            tok = tok.min(t.elapsed().as_secs_f64());
            e.encode_all(&job, |_| std::ops::ControlFlow::Continue(())).unwrap();
            cb = cb.min(cpu() - c);
            best = best.min(t.elapsed().as_secs_f64());
        }
        let out = e.embed(&texts).unwrap();
        let bytes: Vec<u8> = out.data.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut fid = String::new();
        if p == Precision::F32 && reference.is_none() {
            std::fs::write("/tmp/ref.f32", &bytes).unwrap();
        }
        if let Some(r) = &reference {
            let r: Vec<f32> = r.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
            let cos: Vec<f64> = out
                .data
                .chunks(384)
                .zip(r.chunks(384))
                .map(|(a, b)| {
                    let d = |x: &[f32], y: &[f32]| {
                        x.iter().zip(y).map(|(x, y)| *x as f64 * *y as f64).sum::<f64>()
                    };
                    d(a, b) / (d(a, a) * d(b, b)).sqrt()
                })
                .collect();
            fid = format!(
                "cos mean {:.6} min {:.6}",
                cos.iter().sum::<f64>() / cos.len() as f64,
                cos.iter().cloned().fold(1.0, f64::min)
            );
        }
        println!(
            "{p} load {load:.2} tokens {} {:.3}s {:.0} tok/s (tokenise {:.3}s) CPU {:.0} tok/s/core {fid}",
            job.total_tokens(),
            best,
            job.total_tokens() as f64 / best,
            tok,
            job.total_tokens() as f64 / cb
        );
    }
    if a.len() > 7 {
        let e = TextEncoder::load_with(
            dir,
            &EncoderOptions { backend: Backend::Candle(candle_core::Device::Cpu), ..Default::default() },
        )
        .unwrap();
        let t = Instant::now();
        let out = e.embed(&texts).unwrap();
        println!("candle {:.2}s", t.elapsed().as_secs_f64());
        let bytes: Vec<u8> = out.data.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write("/tmp/candle.f32", &bytes).unwrap();
    }
}
