//! `ip_in(address, network)`: whether an address lies in a network.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, exec_datafusion_err, plan_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;
use ipnet::IpNet;

/// Makes the function.
pub(super) fn ip_in() -> Arc<ScalarUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(IpIn { signature }))
}

/// `ip_in(sourceIP, '10.0.0.0/8')`, for IPv4 and IPv6. Null where the address is null or no address; an IPv4 address
/// written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address. A network that is none is an error.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IpIn {
    signature: Signature,
}

impl ScalarUDFImpl for IpIn {
    fn name(&self) -> &'static str {
        "ip_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        let is_text = |t: &DataType| t.is_string() || t.is_null();
        match types {
            [address, network] if is_text(address) && is_text(network) => {
                Ok(vec![DataType::Utf8View, DataType::Utf8View])
            }
            _ => Err(plan_datafusion_err!("'ip_in' takes two texts: an address and a network such as '10.0.0.0/8'")),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [addresses, networks] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("ip_in takes two arguments".to_owned()));
        };
        let constant = [addresses, networks].iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let found: BooleanArray = match networks {
            ColumnarValue::Scalar(network) => {
                let network = network.try_as_str().flatten().map(parse_network).transpose()?;
                let addresses = addresses.to_array(rows)?;
                let addresses = addresses.as_string_view();
                addresses.iter().map(|address| Some(network?.contains(&parse_address(address?)?))).collect()
            }
            ColumnarValue::Array(networks) => {
                let addresses = addresses.to_array(rows)?;
                let pairs = addresses.as_string_view().iter().zip(networks.as_string_view());
                let found = pairs.map(|(address, network)| {
                    let network = network.map(parse_network).transpose()?;
                    Ok(network
                        .zip(address.and_then(parse_address))
                        .map(|(network, address)| network.contains(&address)))
                });
                found.collect::<Result<_, DataFusionError>>()?
            }
        };
        if constant && found.len() == 1 {
            let value = found.is_valid(0).then(|| found.value(0));
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(value)));
        }
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

fn parse_address(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn parse_network(text: &str) -> Result<IpNet, DataFusionError> {
    let text = text.trim();
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or_else(|| exec_datafusion_err!("'{text}' is no network; write it as '10.0.0.0/8' or '2001:db8::/32'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
        for (address, network, expected) in [
            ("10.1.2.3", "10.0.0.0/8", Some(true)),
            ("11.1.2.3", "10.0.0.0/8", Some(false)),
            ("::ffff:10.1.2.3", "10.0.0.0/8", Some(true)),
            ("2001:db8::7", "2001:db8::/32", Some(true)),
            ("2001:db9::7", "2001:db8::/32", Some(false)),
            ("10.1.2.3", "10.1.2.3", Some(true)),
            ("10.1.2.3", "::/0", Some(false)),
            ("nowhere", "10.0.0.0/8", None),
        ] {
            let found = parse_address(address).map(|a| parse_network(network).unwrap().contains(&a));
            assert_eq!(found, expected, "{address} in {network}");
        }
        assert!(parse_network("10.0.0.0/33").is_err());
    }
}
