//! What is stored of a threat: bodies that fit into a document, whatever an event holds.

use threatstream_domain::{Original, Threat, truncated};

use crate::documents::MAX_BODY_BYTES;

/// Tried one after the other on a threat that is too large: how many items a list keeps, and how many bytes a text. With the
/// last, about 200 texts are left, and even with every byte escaped they fit.
const CUTS: [(usize, usize); 3] = [(100, 4096), (50, 1024), (20, 256)];

/// A threat as JSON. One that would not fit has its texts and lists cut; what names it stays whole.
pub(crate) fn body(threat: &Threat) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = serde_json::to_vec(threat)?;
    for (items, bytes) in CUTS {
        if body.len() <= MAX_BODY_BYTES {
            break;
        }
        let mut smaller = threat.clone();
        cut(&mut smaller, items, bytes);
        body = serde_json::to_vec(&smaller)?;
    }
    Ok(body)
}

fn cut(threat: &mut Threat, items: usize, bytes: usize) {
    let shorten = |text: &mut String| {
        if text.len() > bytes {
            *text = truncated(text, bytes).to_owned();
        }
    };
    for list in [
        &mut threat.contributing_signals,
        &mut threat.recommended_actions,
        &mut threat.rule_ids,
    ] {
        list.truncate(items);
        list.iter_mut().for_each(shorten);
    }
    threat.evidence.truncate(items);
    for evidence in &mut threat.evidence {
        [&mut evidence.field, &mut evidence.value, &mut evidence.rule_id]
            .into_iter()
            .for_each(shorten);
    }
    for text in [&mut threat.description, &mut threat.contextual_analysis] {
        shorten(text);
    }
    for text in [
        &mut threat.source_country,
        &mut threat.source_country_code,
        &mut threat.source_asn,
        &mut threat.user,
        &mut threat.host,
        &mut threat.mitre_attack_id,
        &mut threat.mitre_attack_name,
        &mut threat.mitre_tactic,
    ]
    .into_iter()
    .flatten()
    {
        shorten(text);
    }
    if let Some(triage) = &mut threat.triage {
        [&mut triage.verdict, &mut triage.model, &mut triage.prompt_version]
            .into_iter()
            .for_each(shorten);
        triage.claims.truncate(items);
        for claim in &mut triage.claims {
            [&mut claim.text, &mut claim.field, &mut claim.value]
                .into_iter()
                .for_each(shorten);
        }
    }
}

/// The originals of a threat, packed.
#[derive(Debug)]
pub(crate) struct PackedOriginals {
    /// lz4 of their JSON.
    pub(crate) packed: Vec<u8>,
    /// How many bytes each had when it was given, if any was cut (or left out, from the end) here.
    pub(crate) given_bytes: Option<Vec<usize>>,
}

/// Packs originals into what fits: the longest are cut first, and say so.
pub(crate) fn pack_originals(originals: &[Original]) -> Result<PackedOriginals, serde_json::Error> {
    let pack = |originals: &[Original]| -> Result<Vec<u8>, serde_json::Error> {
        Ok(lz4_flex::compress_prepend_size(&serde_json::to_vec(originals)?))
    };
    let mut packed = pack(originals)?;
    if packed.len() <= MAX_BODY_BYTES {
        return Ok(PackedOriginals {
            packed,
            given_bytes: None,
        });
    }
    let given_bytes = originals.iter().map(|original| original.raw.len()).collect();
    let mut kept = originals.to_vec();
    let mut longest = originals.iter().map(|original| original.raw.len()).max().unwrap_or(0);
    while packed.len() > MAX_BODY_BYTES && !kept.is_empty() {
        if longest > 256 {
            longest /= 2;
            for original in kept.iter_mut().filter(|original| original.raw.len() > longest) {
                original.raw = truncated(&original.raw, longest).to_owned();
                original.truncated = true;
            }
        } else {
            kept.truncate(kept.len() / 2);
        }
        packed = pack(&kept)?;
    }
    Ok(PackedOriginals {
        packed,
        given_bytes: Some(given_bytes),
    })
}

/// What [`pack_originals`] packed; `None`: it is damaged.
pub(crate) fn unpack_originals(packed: &[u8]) -> Option<Vec<Original>> {
    let json = lz4_flex::decompress_size_prepended(packed).ok()?;
    serde_json::from_slice(&json).ok()
}

/// The techniques a threat is found by: its own, and the one that is a part of (T1110.001 is one of T1110).
pub(crate) fn techniques(threat: &Threat) -> Vec<String> {
    let Some(technique) = &threat.mitre_attack_id else {
        return Vec::new();
    };
    let technique = technique.to_uppercase();
    match technique.split_once('.') {
        Some((parent, _)) if !parent.is_empty() => vec![parent.to_owned(), technique],
        _ => vec![technique],
    }
}

#[cfg(test)]
mod tests {
    use threatstream_backend::conformance::samples::{original, threat};
    use threatstream_domain::Evidence;

    use super::*;

    /// Text that JSON makes six times as long, and lz4 no shorter.
    fn hostile(bytes: usize, mut seed: u64) -> String {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(u8::try_from(seed >> 59).unwrap())
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn a_threat_of_any_size_fits_and_a_usual_one_is_not_touched() {
        let usual = threat("THR-1");
        assert_eq!(serde_json::from_slice::<Threat>(&body(&usual).unwrap()).unwrap(), usual);

        let mut huge = threat("THR-1");
        huge.description = hostile(2 << 20, 1);
        huge.user = Some("é".repeat(1 << 20));
        huge.contributing_signals = (0..5_000).map(|at| hostile(300, at)).collect();
        huge.rule_ids = (0..500).map(|at| hostile(4096, at)).collect();
        huge.evidence = (0..500)
            .map(|at| Evidence {
                field: hostile(4096, at),
                value: hostile(4096, at + 1),
                rule_id: hostile(4096, at + 2),
            })
            .collect();
        let body = body(&huge).unwrap();
        assert!(body.len() <= MAX_BODY_BYTES, "{}", body.len());
        let stored: Threat = serde_json::from_slice(&body).unwrap();
        assert_eq!((stored.id, stored.event_id), (huge.id, huge.event_id));
        assert!(!stored.evidence.is_empty());
    }

    #[test]
    fn originals_that_fit_are_kept_whole() {
        let given: Vec<Original> = (0..20).map(|at| original(&format!("event-{at}"))).collect();
        let packed = pack_originals(&given).unwrap();
        assert_eq!(packed.given_bytes, None);
        assert_eq!(unpack_originals(&packed.packed).unwrap(), given);
        assert_eq!(unpack_originals(b"x"), None);
    }

    #[test]
    fn originals_that_do_not_fit_are_cut_with_their_lengths_kept() {
        let mut given: Vec<Original> = (0..20).map(|at| original(&format!("event-{at}"))).collect();
        for (seed, large) in (0u64..).zip(&mut given[1..]) {
            large.raw = hostile(256 * 1024, seed);
        }
        let packed = pack_originals(&given).unwrap();
        assert!(packed.packed.len() <= MAX_BODY_BYTES);
        let lengths = packed.given_bytes.unwrap();
        assert_eq!((lengths[0], lengths[1]), (given[0].raw.len(), 256 * 1024));
        let kept = unpack_originals(&packed.packed).unwrap();
        assert_eq!(kept.len(), 20);
        assert_eq!(kept[0], given[0], "a short one was cut");
        assert!(kept[1].truncated && given[1].raw.starts_with(&kept[1].raw) && kept[1].raw.len() >= 1024);
    }

    #[test]
    fn originals_without_number_are_left_out_from_the_end() {
        let given: Vec<Original> = (0..3_000)
            .map(|at| Original {
                event_id: hostile(512, at),
                ..original("x")
            })
            .collect();
        let packed = pack_originals(&given).unwrap();
        assert!(packed.packed.len() <= MAX_BODY_BYTES);
        let kept = unpack_originals(&packed.packed).unwrap();
        assert!(!kept.is_empty() && kept[..] == given[..kept.len()]);
        assert_eq!(packed.given_bytes.unwrap().len(), 3_000);
    }

    #[test]
    fn a_technique_is_found_by_its_parent() {
        let of = |technique: Option<&str>| {
            let mut threat = threat("THR-1");
            threat.mitre_attack_id = technique.map(str::to_owned);
            techniques(&threat)
        };
        assert_eq!(of(Some("t1110.001")), ["T1110", "T1110.001"]);
        assert_eq!(of(Some("T1110")), ["T1110"]);
        assert!(of(None).is_empty());
    }
}
