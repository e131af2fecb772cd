//! The capacity that served an answer, as either service tells it beside its counts (docs/gemini-4.md "Cache, usage, prices
//! and tiers").

/// A tier that Google sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The usual one.
    Standard,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster.
    Priority,
}

impl Tier {
    /// The header field in which the public API says it, too.
    pub const HEADER: &str = "x-gemini-service-tier";

    /// Reads `serviceTier` of the public API (`flex`, `SERVICE_TIER_FLEX`) or `trafficType` of Vertex AI (`ON_DEMAND_FLEX`).
    pub fn read(word: &str) -> Tier {
        let ends = |tier: &str| word.rsplit('_').next().is_some_and(|last| last.eq_ignore_ascii_case(tier));
        match () {
            () if ends("flex") => Tier::Flex,
            () if ends("priority") => Tier::Priority,
            () => Tier::Standard,
        }
    }

    /// The word of the public API.
    pub fn word(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
        }
    }

    /// OpenAI's word.
    pub fn openai(self) -> &'static str {
        if self == Tier::Standard { "default" } else { self.word() }
    }

    /// Anthropic's word, which has none for what is cheaper.
    pub fn anthropic(self) -> &'static str {
        if self == Tier::Priority { "priority" } else { "standard" }
    }
}

#[cfg(test)]
mod tests {
    use super::Tier;

    #[test]
    fn both_services_words_are_read() {
        for (word, tier) in [
            ("flex", Tier::Flex),
            ("PRIORITY", Tier::Priority),
            ("SERVICE_TIER_FLEX", Tier::Flex),
            ("ON_DEMAND_PRIORITY", Tier::Priority),
            ("ON_DEMAND_FLEX", Tier::Flex),
            ("ON_DEMAND", Tier::Standard),
            ("PROVISIONED_THROUGHPUT", Tier::Standard),
            ("standard", Tier::Standard),
            ("SERVICE_TIER_UNSPECIFIED", Tier::Standard),
            ("", Tier::Standard),
        ] {
            assert_eq!(Tier::read(word), tier, "{word}");
        }
    }
}
