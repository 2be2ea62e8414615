//! Parameters under `/aws/service` that templates name: the regions of the partition with what AWS says of each, and Amazon Linux images.
//! There are no machines here, so that an image's id is a placeholder by which nothing can be started: zeros and a number.
//! Sources: Systems Manager User Guide, "Discovering public parameters in Parameter Store", "Calling AMI public parameters",
//! "Calling the public parameter for AWS services, Regions, endpoints, Availability Zones, local zones, and Wavelength Zones".

use api_ssm::Parameter;
use wire::Timestamp;

/// Before their names.
pub(crate) const ROOT: &str = "/aws/service/";
const REGIONS: &str = "/aws/service/global-infrastructure/regions";
const IMAGES: &str = "/aws/service/ami-amazon-linux-latest";

/// The regions of the partition `aws`: code, name, country.
const ALL_REGIONS: [(&str, &str, &str); 34] = [
    ("af-south-1", "Africa (Cape Town)", "ZA"),
    ("ap-east-1", "Asia Pacific (Hong Kong)", "HK"),
    ("ap-east-2", "Asia Pacific (Taipei)", "TW"),
    ("ap-northeast-1", "Asia Pacific (Tokyo)", "JP"),
    ("ap-northeast-2", "Asia Pacific (Seoul)", "KR"),
    ("ap-northeast-3", "Asia Pacific (Osaka)", "JP"),
    ("ap-south-1", "Asia Pacific (Mumbai)", "IN"),
    ("ap-south-2", "Asia Pacific (Hyderabad)", "IN"),
    ("ap-southeast-1", "Asia Pacific (Singapore)", "SG"),
    ("ap-southeast-2", "Asia Pacific (Sydney)", "AU"),
    ("ap-southeast-3", "Asia Pacific (Jakarta)", "ID"),
    ("ap-southeast-4", "Asia Pacific (Melbourne)", "AU"),
    ("ap-southeast-5", "Asia Pacific (Malaysia)", "MY"),
    ("ap-southeast-6", "Asia Pacific (New Zealand)", "NZ"),
    ("ap-southeast-7", "Asia Pacific (Thailand)", "TH"),
    ("ca-central-1", "Canada (Central)", "CA"),
    ("ca-west-1", "Canada West (Calgary)", "CA"),
    ("eu-central-1", "Europe (Frankfurt)", "DE"),
    ("eu-central-2", "Europe (Zurich)", "CH"),
    ("eu-north-1", "Europe (Stockholm)", "SE"),
    ("eu-south-1", "Europe (Milan)", "IT"),
    ("eu-south-2", "Europe (Spain)", "ES"),
    ("eu-west-1", "Europe (Ireland)", "IE"),
    ("eu-west-2", "Europe (London)", "GB"),
    ("eu-west-3", "Europe (Paris)", "FR"),
    ("il-central-1", "Israel (Tel Aviv)", "IL"),
    ("me-central-1", "Middle East (UAE)", "AE"),
    ("me-south-1", "Middle East (Bahrain)", "BH"),
    ("mx-central-1", "Mexico (Central)", "MX"),
    ("sa-east-1", "South America (Sao Paulo)", "BR"),
    ("us-east-1", "US East (N. Virginia)", "US"),
    ("us-east-2", "US East (Ohio)", "US"),
    ("us-west-1", "US West (N. California)", "US"),
    ("us-west-2", "US West (Oregon)", "US"),
];

/// Names of Amazon Linux's images, as they stand behind the path.
const ALL_IMAGES: [&str; 22] = [
    "al2023-ami-kernel-6.1-arm64",
    "al2023-ami-kernel-6.1-x86_64",
    "al2023-ami-kernel-6.12-arm64",
    "al2023-ami-kernel-6.12-x86_64",
    "al2023-ami-kernel-default-arm64",
    "al2023-ami-kernel-default-x86_64",
    "al2023-ami-minimal-kernel-6.1-arm64",
    "al2023-ami-minimal-kernel-6.1-x86_64",
    "al2023-ami-minimal-kernel-default-arm64",
    "al2023-ami-minimal-kernel-default-x86_64",
    "amzn-ami-hvm-x86_64-ebs",
    "amzn-ami-hvm-x86_64-gp2",
    "amzn-ami-minimal-hvm-x86_64-ebs",
    "amzn2-ami-hvm-arm64-gp2",
    "amzn2-ami-hvm-x86_64-ebs",
    "amzn2-ami-hvm-x86_64-gp2",
    "amzn2-ami-kernel-5.10-hvm-arm64-gp2",
    "amzn2-ami-kernel-5.10-hvm-x86_64-ebs",
    "amzn2-ami-kernel-5.10-hvm-x86_64-gp2",
    "amzn2-ami-minimal-hvm-arm64-ebs",
    "amzn2-ami-minimal-hvm-x86_64-ebs",
    "amzn2-ami-minimal-hvm-x86_64-gp2",
];

/// All of them: names and values.
fn all(region: &str) -> impl Iterator<Item = (String, String)> {
    let facts = |at: String, (code, name, country): (&str, &str, &str)| {
        [
            (at.clone(), code.to_owned()),
            (format!("{at}/domain"), "amazonaws.com".to_owned()),
            (format!("{at}/geolocationCountry"), country.to_owned()),
            (format!("{at}/longName"), name.to_owned()),
            (format!("{at}/partition"), "aws".to_owned()),
        ]
    };
    let here = ALL_REGIONS.iter().find(|(code, ..)| *code == region).copied();
    let current = here.map(|here| facts("/aws/service/global-infrastructure/current-region".to_owned(), here));
    let regions = ALL_REGIONS.iter().flat_map(move |one| facts(format!("{REGIONS}/{}", one.0), *one));
    let images = ALL_IMAGES.iter().enumerate();
    let images = images.map(|(n, name)| (format!("{IMAGES}/{name}"), format!("ami-{:017}", n + 1)));
    current.into_iter().flatten().chain(regions).chain(images)
}

fn parameter(region: &str, name: String, value: String) -> Parameter {
    let is_image = name.starts_with(IMAGES);
    Parameter {
        arn: Some(format!("arn:aws:ssm:{region}::parameter{name}")),
        name: Some(name),
        r#type: Some("String".to_owned()),
        value: Some(value),
        version: Some(1),
        last_modified_date: Some(Timestamp(jiff::Timestamp::UNIX_EPOCH)),
        data_type: Some(if is_image { "aws:ec2:image" } else { "text" }.to_owned()),
        ..Parameter::default()
    }
}

/// The public parameter of a name, or an ARN without an account.
pub(crate) fn find(region: &str, id: &str) -> Option<Parameter> {
    let name = id.strip_prefix(&format!("arn:aws:ssm:{region}::parameter")).unwrap_or(id);
    if !name.starts_with(ROOT) {
        return None;
    }
    let (plain, selector) = name.split_once(':').map_or((name, None), |(name, version)| (name, Some(version)));
    if selector.is_some_and(|version| version != "1") {
        return None;
    }
    let (name, value) = all(region).find(|(name, _)| name == plain)?;
    Some(Parameter { selector: selector.map(|version| format!(":{version}")), ..parameter(region, name, value) })
}

/// Whether a path is one of theirs.
pub(crate) fn is_path(path: &str) -> bool {
    format!("{}/", path.trim_end_matches('/')).starts_with(ROOT)
}

/// Those below a path, in order of name.
pub(crate) fn below(region: &str, path: &str, recursive: bool) -> Vec<Parameter> {
    let under = format!("{}/", path.trim_end_matches('/'));
    let wanted = |name: &str| name.strip_prefix(&under).is_some_and(|rest| recursive || !rest.contains('/'));
    let mut found: Vec<(String, String)> = all(region).filter(|(name, _)| wanted(name)).collect();
    found.sort();
    found.into_iter().map(|(name, value)| parameter(region, name, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::{below, find, is_path};

    #[test]
    fn templates_names_are_there() {
        let value = |name: &str| find("eu-west-1", name).and_then(|found| found.value);
        assert_eq!(
            value("/aws/service/global-infrastructure/regions/us-east-1/longName").unwrap(),
            "US East (N. Virginia)"
        );
        assert_eq!(value("/aws/service/global-infrastructure/current-region").unwrap(), "eu-west-1");
        let image = value("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64").unwrap();
        assert_eq!(image, "ami-00000000000000006");
        assert_eq!(value("/aws/service/ecs/optimized-ami/amazon-linux-2/recommended"), None);
        assert_eq!(below("eu-west-1", "/aws/service/global-infrastructure/regions", false).len(), 34);
        assert!(is_path("/aws/service") && is_path("/aws/service/x/") && !is_path("/aws/services"));
    }
}
