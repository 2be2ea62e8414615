"""KMS: https://docs.aws.amazon.com/kms/latest/APIReference/API_Operations.html"""
import hashlib
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, role

NO = "12345678-1234-1234-1234-123456789012"


def kms():
    return client("kms")


def key(**more):
    return kms().create_key(**more)["KeyMetadata"]


@operations("kms", "CreateKey", "DescribeKey", "ListKeys", "UpdateKeyDescription", "DisableKey", "EnableKey", "ScheduleKeyDeletion", "CancelKeyDeletion")
def keys():
    made = key(Description="one")
    id, arn = made["KeyId"], f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{made['KeyId']}"
    holds(made, Arn=arn, AWSAccountId=ACCOUNT, Enabled=True, KeyState="Enabled", KeyUsage="ENCRYPT_DECRYPT", KeySpec="SYMMETRIC_DEFAULT",
          CustomerMasterKeySpec="SYMMETRIC_DEFAULT", Origin="AWS_KMS", KeyManager="CUSTOMER", MultiRegion=False,
          EncryptionAlgorithms=["SYMMETRIC_DEFAULT"])
    equal(kms().describe_key(KeyId=arn)["KeyMetadata"], made)
    assert {"KeyId": id, "KeyArn": arn} in pages(kms().list_keys, "Keys", "NextMarker", "Marker", Limit=2)[0]
    kms().update_key_description(KeyId=id, Description="two")
    equal(kms().describe_key(KeyId=id)["KeyMetadata"]["Description"], "two")
    kms().disable_key(KeyId=id)
    holds(kms().describe_key(KeyId=id)["KeyMetadata"], Enabled=False, KeyState="Disabled")
    refused("DisabledException", f"{arn} is disabled", kms().encrypt, KeyId=id, Plaintext=b"x")
    kms().enable_key(KeyId=id)
    holds(kms().describe_key(KeyId=id)["KeyMetadata"], Enabled=True, KeyState="Enabled")
    holds(kms().schedule_key_deletion(KeyId=id, PendingWindowInDays=7), KeyId=arn, KeyState="PendingDeletion", PendingWindowInDays=7)
    holds(kms().describe_key(KeyId=id)["KeyMetadata"], Enabled=False, KeyState="PendingDeletion")
    for call, given in ((kms().enable_key, {}), (kms().disable_key, {}), (kms().encrypt, {"Plaintext": b"x"}), (kms().schedule_key_deletion, {}),
                        (kms().update_key_description, {"Description": "three"})):
        refused("KMSInvalidStateException", f"{arn} is pending deletion", call, KeyId=id, **given)
    equal(kms().cancel_key_deletion(KeyId=id)["KeyId"], arn)
    # A key that is taken back is disabled.
    equal(kms().describe_key(KeyId=id)["KeyMetadata"]["KeyState"], "Disabled")
    refused("KMSInvalidStateException", f"{arn} is not pending deletion", kms().cancel_key_deletion, KeyId=id)
    refused("ValidationException", "PendingWindowInDays", kms().schedule_key_deletion, KeyId=id, PendingWindowInDays=6)
    for call in (kms().describe_key, kms().enable_key, kms().disable_key, kms().cancel_key_deletion):
        refused("NotFoundException", f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{NO}' does not exist", call, KeyId=NO)
    refused("ValidationException", "limit", kms().list_keys, Limit=0)
    refused("InvalidMarkerException", "", kms().list_keys, Marker="nowhere")
    refused("MalformedPolicyDocumentException", "", kms().create_key, Policy="{}")
    refused("ValidationException", "KeyUsage", kms().create_key, KeySpec="HMAC_256", KeyUsage="ENCRYPT_DECRYPT")


@operations("kms", "CreateAlias", "ListAliases", "UpdateAlias", "DeleteAlias")
def aliases():
    one, two = key()["KeyId"], key()["KeyId"]
    alias = "alias/" + named("a")
    kms().create_alias(AliasName=alias, TargetKeyId=one)
    found = kms().list_aliases(KeyId=one)["Aliases"]
    equal([(a["AliasName"], a["AliasArn"], a["TargetKeyId"]) for a in found], [(alias, f"arn:aws:kms:{REGION}:{ACCOUNT}:{alias}", one)])
    equal(kms().describe_key(KeyId=alias)["KeyMetadata"]["KeyId"], one)
    kms().update_alias(AliasName=alias, TargetKeyId=two)
    equal(kms().list_aliases(KeyId=one)["Aliases"], [])
    equal(names(kms().list_aliases(KeyId=two)["Aliases"], "AliasName"), [alias])
    assert alias in names(pages(kms().list_aliases, "Aliases", "NextMarker", "Marker", Limit=1)[0], "AliasName")
    text = f"An alias with the name arn:aws:kms:{REGION}:{ACCOUNT}:{alias} already exists"
    refused("AlreadyExistsException", text, kms().create_alias, AliasName=alias, TargetKeyId=one)
    refused("InvalidAliasNameException", "bare", kms().create_alias, AliasName="bare", TargetKeyId=one)
    refused("InvalidAliasNameException", "alias/aws/mine", kms().create_alias, AliasName="alias/aws/mine", TargetKeyId=one)
    refused("NotFoundException", NO, kms().create_alias, AliasName="alias/" + named("a"), TargetKeyId=NO)
    hmac = key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    refused("InvalidKeyUsageException", "key usage is", kms().update_alias, AliasName=alias, TargetKeyId=hmac)
    kms().delete_alias(AliasName=alias)
    for call, given in ((kms().delete_alias, {}), (kms().update_alias, {"TargetKeyId": one})):
        refused("NotFoundException", f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:{alias} is not found", call, AliasName=alias, **given)
    refused("NotFoundException", NO, kms().list_aliases, KeyId=NO)
    # An alias of a service's own key is there before its key is.
    assert "alias/aws/athena" in names(pages(kms().list_aliases, "Aliases", "NextMarker", "Marker")[0], "AliasName")


@operations("kms", "GetKeyPolicy", "PutKeyPolicy", "ListKeyPolicies")
def policies():
    id = key()["KeyId"]
    policy = json.loads(kms().get_key_policy(KeyId=id)["Policy"])
    equal((policy["Id"], [(s["Effect"], s["Principal"], s["Action"], s["Resource"]) for s in policy["Statement"]]),
          ("key-default-1", [("Allow", {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*", "*")]))
    equal(kms().get_key_policy(KeyId=id)["PolicyName"], "default")
    equal(kms().list_key_policies(KeyId=id)["PolicyNames"], ["default"])
    policy["Id"] = "own"
    kms().put_key_policy(KeyId=id, PolicyName="default", Policy=json.dumps(policy))
    equal(json.loads(kms().get_key_policy(KeyId=id, PolicyName="default")["Policy"])["Id"], "own")
    refused("MalformedPolicyDocumentException", "", kms().put_key_policy, KeyId=id, Policy="not json")
    refused("NotFoundException", "No such policy exists", kms().get_key_policy, KeyId=id, PolicyName="other")
    for call in (kms().get_key_policy, kms().list_key_policies):
        refused("NotFoundException", NO, call, KeyId=NO)


@operations("kms", "Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateRandom", "GenerateMac", "VerifyMac")
def cryptography():
    one, two, context = key(), key(), {"tenant": "a"}
    blob = kms().encrypt(KeyId=one["KeyId"], Plaintext=b"secret", EncryptionContext=context)
    equal((blob["KeyId"], blob["EncryptionAlgorithm"]), (one["Arn"], "SYMMETRIC_DEFAULT"))
    blob = blob["CiphertextBlob"]
    holds(kms().decrypt(CiphertextBlob=blob, EncryptionContext=context), KeyId=one["Arn"], Plaintext=b"secret")
    refused("InvalidCiphertextException", "", kms().decrypt, CiphertextBlob=blob)
    refused("InvalidCiphertextException", "", kms().decrypt, CiphertextBlob=blob[:-1] + bytes([blob[-1] ^ 1]), EncryptionContext=context)
    refused("IncorrectKeyException", "", kms().decrypt, CiphertextBlob=blob, EncryptionContext=context, KeyId=two["KeyId"])
    again = kms().re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=two["KeyId"])
    equal((again["SourceKeyId"], again["KeyId"]), (one["Arn"], two["Arn"]))
    holds(kms().decrypt(CiphertextBlob=again["CiphertextBlob"]), KeyId=two["Arn"], Plaintext=b"secret")
    refused("InvalidCiphertextException", "", kms().re_encrypt, CiphertextBlob=b"not one", DestinationKeyId=two["KeyId"])
    for spec, length in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 100}, 100)):
        data = kms().generate_data_key(KeyId=one["KeyId"], **spec)
        equal((len(data["Plaintext"]), kms().decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"]), (length, data["Plaintext"]))
        sealed = kms().generate_data_key_without_plaintext(KeyId=one["KeyId"], EncryptionContext=context, **spec)
        equal((sealed["KeyId"], "Plaintext" in sealed), (one["Arn"], False))
        equal(len(kms().decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)["Plaintext"]), length)
    for call in (kms().generate_data_key, kms().generate_data_key_without_plaintext):
        refused("NotFoundException", NO, call, KeyId=NO, KeySpec="AES_256")
        refused("ValidationException", "", call, KeyId=one["KeyId"])
        refused("ValidationException", "", call, KeyId=one["KeyId"], KeySpec="AES_256", NumberOfBytes=32)
    random = [kms().generate_random(NumberOfBytes=n)["Plaintext"] for n in (1, 1024, 1024)]
    equal([len(r) for r in random], [1, 1024, 1024])
    assert random[1] != random[2]
    refused("ValidationException", "numberOfBytes", kms().generate_random, NumberOfBytes=1025)
    refused("ValidationException", "plaintext", kms().encrypt, KeyId=one["KeyId"], Plaintext=b"x" * 4097)
    mac = key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    made = kms().generate_mac(KeyId=mac["KeyId"], Message=b"m", MacAlgorithm="HMAC_SHA_256")
    equal((len(made["Mac"]), made["KeyId"]), (32, mac["Arn"]))
    holds(kms().verify_mac(KeyId=mac["KeyId"], Message=b"m", MacAlgorithm="HMAC_SHA_256", Mac=made["Mac"]), MacValid=True, KeyId=mac["Arn"])
    refused("KMSInvalidMacException", "", kms().verify_mac, KeyId=mac["KeyId"], Message=b"n", MacAlgorithm="HMAC_SHA_256", Mac=made["Mac"])
    refused("InvalidKeyUsageException", "", kms().generate_mac, KeyId=one["KeyId"], Message=b"m", MacAlgorithm="HMAC_SHA_256")
    refused("InvalidKeyUsageException", "", kms().encrypt, KeyId=mac["KeyId"], Plaintext=b"x")


@operations("kms", "EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus", "RotateKeyOnDemand", "ListKeyRotations")
def rotation():
    id = key()["KeyId"]
    equal(kms().get_key_rotation_status(KeyId=id)["KeyRotationEnabled"], False)
    blob = kms().encrypt(KeyId=id, Plaintext=b"before")["CiphertextBlob"]
    kms().enable_key_rotation(KeyId=id, RotationPeriodInDays=90)
    holds(kms().get_key_rotation_status(KeyId=id), KeyRotationEnabled=True, RotationPeriodInDays=90)
    assert kms().rotate_key_on_demand(KeyId=id)["KeyId"].endswith(id)
    rotations = kms().list_key_rotations(KeyId=id)["Rotations"]
    equal([(r["KeyId"].rpartition("/")[2], r["RotationType"]) for r in rotations], [(id, "ON_DEMAND")])
    equal(kms().decrypt(CiphertextBlob=blob)["Plaintext"], b"before")
    kms().disable_key_rotation(KeyId=id)
    equal(kms().get_key_rotation_status(KeyId=id)["KeyRotationEnabled"], False)
    refused("ValidationException", "rotationPeriodInDays", kms().enable_key_rotation, KeyId=id, RotationPeriodInDays=89)
    mac = key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyId"]
    for call in (kms().enable_key_rotation, kms().disable_key_rotation, kms().rotate_key_on_demand):
        refused("UnsupportedOperationException", "", call, KeyId=mac)
    for call in (kms().get_key_rotation_status, kms().list_key_rotations, kms().disable_key_rotation):
        refused("NotFoundException", NO, call, KeyId=NO)


@operations("kms", "CreateGrant", "ListGrants", "ListRetirableGrants", "RetireGrant", "RevokeGrant")
def grants():
    made, who = key(), role("lambda")
    first = kms().create_grant(KeyId=made["KeyId"], GranteePrincipal=who, RetiringPrincipal=who, Operations=["Decrypt"], Name="one")
    equal(len(first["GrantId"]), 64)
    # The same grant by the same name is the same.
    equal(kms().create_grant(KeyId=made["KeyId"], GranteePrincipal=who, RetiringPrincipal=who, Operations=["Decrypt"], Name="one")["GrantId"], first["GrantId"])
    second = kms().create_grant(KeyId=made["KeyId"], GranteePrincipal=who, Operations=["Encrypt"])
    listed = {g["GrantId"]: g for g in kms().list_grants(KeyId=made["KeyId"])["Grants"]}
    equal(set(listed), {first["GrantId"], second["GrantId"]})
    holds(listed[first["GrantId"]], KeyId=made["Arn"], Name="one", GranteePrincipal=who, RetiringPrincipal=who, Operations=["Decrypt"])
    equal(names(kms().list_grants(KeyId=made["KeyId"], GrantId=second["GrantId"])["Grants"], "GrantId"), [second["GrantId"]])
    equal(names(kms().list_retirable_grants(RetiringPrincipal=who)["Grants"], "GrantId"), [first["GrantId"]])
    kms().retire_grant(GrantToken=first["GrantToken"])
    equal(kms().list_retirable_grants(RetiringPrincipal=who)["Grants"], [])
    kms().revoke_grant(KeyId=made["KeyId"], GrantId=second["GrantId"])
    equal(kms().list_grants(KeyId=made["KeyId"])["Grants"], [])
    for call in (kms().revoke_grant, kms().retire_grant):
        refused("InvalidGrantIdException", second["GrantId"], call, KeyId=made["Arn"], GrantId=second["GrantId"])
    refused("NotFoundException", NO, kms().list_grants, KeyId=NO)
    refused("ValidationException", "operations", kms().create_grant, KeyId=made["KeyId"], GranteePrincipal=who, Operations=["Fly"])
    refused("ValidationException", "limit", kms().list_retirable_grants, RetiringPrincipal=who, Limit=0)
    denied("AccessDeniedException", "kms:ListRetirableGrants", "list_retirable_grants", RetiringPrincipal=who)


@operations("kms", "TagResource", "UntagResource", "ListResourceTags")
def tags():
    id = key(Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyId"]
    kms().tag_resource(KeyId=id, Tags=[{"TagKey": "a", "TagValue": "2"}, {"TagKey": "b", "TagValue": ""}])
    equal(sorted(kms().list_resource_tags(KeyId=id)["Tags"], key=str), [{"TagKey": "a", "TagValue": "2"}, {"TagKey": "b", "TagValue": ""}])
    kms().untag_resource(KeyId=id, TagKeys=["a"])
    equal(kms().list_resource_tags(KeyId=id)["Tags"], [{"TagKey": "b", "TagValue": ""}])
    refused("TagException", "", kms().tag_resource, KeyId=id, Tags=[{"TagKey": "aws:x", "TagValue": ""}])
    refused("NotFoundException", NO, kms().untag_resource, KeyId=NO, TagKeys=["a"])
    refused("NotFoundException", NO, kms().list_resource_tags, KeyId=NO)


@operations("kms", "Sign", "Verify", "GetPublicKey")
def signatures():
    for spec, algorithms in (("RSA_2048", ["RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PSS_SHA_384"]), ("ECC_NIST_P256", ["ECDSA_SHA_256"]),
                             ("ECC_NIST_P384", ["ECDSA_SHA_384"]), ("ECC_NIST_P521", ["ECDSA_SHA_512"]), ("ECC_SECG_P256K1", ["ECDSA_SHA_256"])):
        made = key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
        id, arn = made["KeyId"], made["Arn"]
        holds(made, KeySpec=spec, CustomerMasterKeySpec=spec, KeyUsage="SIGN_VERIFY", EncryptionAlgorithms=None)
        public = kms().get_public_key(KeyId=id)
        holds(public, KeyId=arn, KeySpec=spec, KeyUsage="SIGN_VERIFY", SigningAlgorithms=made["SigningAlgorithms"])
        equal((set(algorithms) <= set(made["SigningAlgorithms"]), public["PublicKey"][:1]), (True, b"0"))
        for algorithm in algorithms:
            asked = {"KeyId": id, "SigningAlgorithm": algorithm}
            signed = kms().sign(Message=b"signed", **asked)
            holds(signed, KeyId=arn, SigningAlgorithm=algorithm)
            holds(kms().verify(Message=b"signed", Signature=signed["Signature"], **asked), KeyId=arn, SignatureValid=True, SigningAlgorithm=algorithm)
            digest = hashlib.new("sha" + algorithm[-3:], b"signed").digest()
            equal(kms().verify(Message=digest, MessageType="DIGEST", Signature=signed["Signature"], **asked)["SignatureValid"], True)
            of_digest = kms().sign(Message=digest, MessageType="DIGEST", **asked)["Signature"]
            equal(kms().verify(Message=b"signed", Signature=of_digest, **asked)["SignatureValid"], True)
            refused("KMSInvalidSignatureException", "", kms().verify, Message=b"another", Signature=signed["Signature"], **asked)
            refused("ValidationException", "Digest is invalid length", kms().sign, Message=b"short", MessageType="DIGEST", **asked)
            refused("DryRunOperationException", "", kms().sign, Message=b"signed", DryRun=True, **asked)
        refused("InvalidKeyUsageException", f"incompatible with key spec {spec}", kms().sign, KeyId=id, Message=b"x",
                SigningAlgorithm="ECDSA_SHA_256" if spec.startswith("RSA") else "RSASSA_PSS_SHA_256")
        refused("InvalidKeyUsageException", "SIGN_VERIFY", kms().encrypt, KeyId=id, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
        refused("UnsupportedOperationException", "", kms().enable_key_rotation, KeyId=id)
    symmetric = key()["KeyId"]
    refused("UnsupportedOperationException", "", kms().get_public_key, KeyId=symmetric)
    refused("InvalidKeyUsageException", "ENCRYPT_DECRYPT", kms().sign, KeyId=symmetric, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    refused("ValidationException", "KeyUsage", kms().create_key, KeySpec="RSA_2048")
    refused("ValidationException", "KeyUsage", kms().create_key, KeySpec="ECC_NIST_P256", KeyUsage="ENCRYPT_DECRYPT")
    refused("UnsupportedOperationException", "ML_DSA_44", kms().create_key, KeySpec="ML_DSA_44", KeyUsage="SIGN_VERIFY")
    kms().disable_key(KeyId=id)
    refused("DisabledException", "", kms().sign, KeyId=id, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    for call, given in ((kms().sign, {"Message": b"x"}), (kms().verify, {"Message": b"x", "Signature": b"y"})):
        refused("NotFoundException", NO, call, KeyId=NO, SigningAlgorithm="ECDSA_SHA_256", **given)


@operations("kms", "Encrypt", "Decrypt", "ReEncrypt")
def encryption_by_pairs():
    made, symmetric = key(KeySpec="RSA_3072", KeyUsage="ENCRYPT_DECRYPT"), key()["KeyId"]
    id, arn = made["KeyId"], made["Arn"]
    holds(made, EncryptionAlgorithms=["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"], SigningAlgorithms=None)
    for algorithm, most in (("RSAES_OAEP_SHA_1", 342), ("RSAES_OAEP_SHA_256", 318)):
        asked = {"KeyId": id, "EncryptionAlgorithm": algorithm}
        sealed = kms().encrypt(Plaintext=b"s" * most, **asked)
        holds(sealed, KeyId=arn, EncryptionAlgorithm=algorithm)
        equal(len(sealed["CiphertextBlob"]), 384)
        holds(kms().decrypt(CiphertextBlob=sealed["CiphertextBlob"], **asked), KeyId=arn, Plaintext=b"s" * most, EncryptionAlgorithm=algorithm)
        refused("ValidationException", f"larger than {most} bytes", kms().encrypt, Plaintext=b"s" * (most + 1), **asked)
    refused("InvalidCiphertextException", "", kms().decrypt, CiphertextBlob=sealed["CiphertextBlob"], KeyId=id, EncryptionAlgorithm="RSAES_OAEP_SHA_1")
    refused("InvalidKeyUsageException", "SYMMETRIC_DEFAULT", kms().encrypt, KeyId=id, Plaintext=b"x")
    refused("InvalidKeyUsageException", "SYMMETRIC_DEFAULT", kms().generate_data_key, KeyId=id, KeySpec="AES_256")
    refused("ValidationException", "context", kms().encrypt, Plaintext=b"x", EncryptionContext={"a": "b"}, **asked)
    moved = kms().re_encrypt(CiphertextBlob=sealed["CiphertextBlob"], SourceKeyId=id, SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256", DestinationKeyId=symmetric)
    holds(moved, SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256", DestinationEncryptionAlgorithm="SYMMETRIC_DEFAULT", SourceKeyId=arn)
    equal(kms().decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"], b"s" * 318)
    refused("InvalidCiphertextException", "", kms().re_encrypt, CiphertextBlob=b"nothing", SourceKeyId=id, SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256",
            DestinationKeyId=symmetric)


@operations("kms", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext")
def data_key_pairs():
    id, context = key()["KeyId"], {"a": "b"}
    for spec in ("RSA_2048", "ECC_NIST_P256"):
        made = kms().generate_data_key_pair(KeyId=id, KeyPairSpec=spec, EncryptionContext=context)
        holds(made, KeyPairSpec=spec, KeyId=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}")
        opened = kms().decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext=context)["Plaintext"]
        equal((opened, made["PublicKey"][:1]), (made["PrivateKeyPlaintext"], b"0"))
        blind = kms().generate_data_key_pair_without_plaintext(KeyId=id, KeyPairSpec=spec)
        equal("PrivateKeyPlaintext" in blind, False)
        assert kms().decrypt(CiphertextBlob=blind["PrivateKeyCiphertextBlob"])["Plaintext"] not in (opened, b"")
    pair = key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyId"]
    for call in (kms().generate_data_key_pair, kms().generate_data_key_pair_without_plaintext):
        refused("UnsupportedOperationException", "SM2", call, KeyId=id, KeyPairSpec="SM2")
        refused("InvalidKeyUsageException", "SYMMETRIC_DEFAULT", call, KeyId=pair, KeyPairSpec="ECC_NIST_P256")
        refused("NotFoundException", NO, call, KeyId=NO, KeyPairSpec="ECC_NIST_P256")
