//! Without a library there is no model: what is tested here is everything around it. The model itself is tested where
//! `LAKERUN_TEST_ONNXRUNTIME` names a `libonnxruntime.so` (the demo's assertions run it end to end).

use super::*;

fn csv(text: &str) -> RecordBatch {
    Format::Csv.read(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

#[test]
fn joined_and_filtered() {
    let joined = join(&csv("1,a\n2,b\n"), &csv("0.5\n0.7\n")).unwrap();
    let chosen = choose(&joined, &Filter::parse(Some("$[0,-1]")).unwrap()).unwrap();
    assert_eq!(Format::Csv.write(&chosen).unwrap(), b"1,0.5\n2,0.7\n");
}

#[test]
fn the_example_model_predicts() {
    #[expect(clippy::disallowed_methods, reason = "the test is told by a variable where the library is")]
    let Some(library) = std::env::var_os("LAKERUN_TEST_ONNXRUNTIME") else { return };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/flights/model/model.onnx");
    let mut model = Model::load(library.as_ref(), &std::fs::read(path).unwrap()).unwrap().unwrap();
    let row = "10,5,15,3,1400,39,26,59,270,10.4,,0,1012,10,149,1999,29.98,-95.34";
    let predictions = model.predict(&csv(&format!("{row}\n{row}\n"))).unwrap();
    assert_eq!((predictions.num_rows(), predictions.num_columns()), (2, 1));
    assert_eq!(predictions.schema().field(0).name(), "predicted_arr_delay");
    assert!(model.predict(&csv("1,2\n")).unwrap_err().contains("no column for"));
    assert!(Model::load(library.as_ref(), b"garbage").is_err_and(|e| e.contains("could not be loaded")));
}

#[test]
fn a_script_goes_before_an_onnx_file() {
    let asked = |image: &str, files: &[&str]| {
        let access = Access {
            endpoint: String::new(),
            region: String::new(),
            key_id: String::new(),
            secret_key: String::new(),
            session_token: None,
        };
        let model_data_url = "s3://b/model.tar.gz".to_owned();
        let source = Source { access, model_data_url, named: None, image: image.to_owned() };
        let files: Files = files.iter().map(|name| ((*name).to_owned(), b"x".to_vec())).collect();
        how(&source, &files).map(|how| match how {
            How::Program(needed) => (needed.program.or(needed.builtin).unwrap_or_default(), needed.requirements),
            How::Onnx(name, _) => (name.to_owned(), String::new()),
        })
    };
    let some = |name: &str, requirements: &str| Ok((name.to_owned(), requirements.to_owned()));
    assert_eq!(asked("i", &["code/inference.py", "code/requirements.txt", "model.onnx"]), some("inference.py", "x"));
    assert_eq!(asked("i", &["a.onnx", "sub/model.onnx"]), some("sub/model.onnx", ""));
    assert_eq!(asked("sagemaker-xgboost:1.7-1", &["xgboost-model"]), some("xgboost", ""));
    assert!(asked("i", &["weights.bin"]).unwrap_err().contains("weights.bin"));
}
