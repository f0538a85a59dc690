-- Records of the Microsoft 365 unified audit log: as the Management Activity API lists them, as the
-- portal and Search-UnifiedAuditLog export them (`AuditData` is a text of JSON, in CSV too), and as an
-- audit log query of Graph gives them (`auditData`). How they get here: docs/sources/m365.md.
--
--: source m365
--: about Microsoft 365: unified audit log
--: unwrap value[]
--: unwrap AuditData
--: unwrap auditData
--: keys also-lower-case
--
--: default sourceIdentifier 'Microsoft 365'
--: default objectType 'ACTIVITY'
--
--: text CreationTime, Id, Operation, Workload, UserId, UserKey
--: text ClientIP, ClientIPAddress, ActorIpAddress, UserAgent, ClientInfoString
--: text DeviceProperties[].Name, DeviceProperties[].Value
--: text SourceFileName, SourceRelativeUrl, SourceFileExtension, SiteUrl, ObjectId, ItemType
--: text TargetUserOrGroupName, Folders[].Id
--: int OperationCount

SELECT
    epoch_ms(CreationTime) AS timeStamp,
    Id AS activityId,

    Operation AS actionName,
    Operation AS operation,
    Workload AS serviceName,
    UserKey AS accountId,
    lower(UserId) AS "user",
    split_part(lower(UserId), '@', 2) AS collabGroup,

    coalesce(ip_address(ClientIP), ip_address(ClientIPAddress), ip_address(ActorIpAddress)) AS sourceIP,
    coalesce(
        value_of(DeviceProperties, 'Name', 'BrowserType', 'Value'),
        user_agent_name(UserAgent),
        -- Outlook and its kin: Client=OWA;Action=…
        nullif(split_part(split_part(ClientInfoString, ';', 1), '=', 2), '')
    ) AS clientName,
    coalesce(value_of(DeviceProperties, 'Name', 'OS', 'Value'), user_agent_os(UserAgent)) AS clientOS,
    coalesce(
        user_agent_category(UserAgent),
        CASE WHEN value_of(DeviceProperties, 'Name', 'BrowserType', 'Value') NOT IN ('', 'Other')
                  OR starts_with(ClientInfoString, 'Client=OWA') THEN 'browser'
             WHEN starts_with(ClientInfoString, 'Client=MSExchangeRPC') THEN 'desktop app' END
    ) AS clientCategory,
    lower(value_of(DeviceProperties, 'Name', 'IsCompliantAndManaged', 'Value')) = 'true' AS deviceManaged,

    -- What follows a question mark in an address may let its reader in.
    split_part(ObjectId, '?', 1) AS targetId,
    ItemType AS targetType,
    SiteUrl AS siteUrl,
    CASE WHEN starts_with(ObjectId, 'https://') OR starts_with(ObjectId, 'http://')
         THEN split_part(ObjectId, '?', 1) END AS url,
    split_part(lower(TargetUserOrGroupName), '@', 2) AS collabGroupAndTarget,
    coalesce(CAST(OperationCount AS DOUBLE), CAST(array_length(Folders) AS DOUBLE)) AS noOfObjects,

    SourceFileName AS fileName,
    SourceRelativeUrl AS fileFolderPath,
    SourceFileExtension AS fileType,
    CASE WHEN Operation IN ('SharingRevoked', 'AnonymousLinkRemoved', 'CompanyLinkRemoved', 'SecureLinkDeleted',
                            'RemovedFromSecureLink', 'SharingInvitationRevoked') THEN false
         WHEN starts_with(Operation, 'Sharing') OR starts_with(Operation, 'AnonymousLink')
              OR starts_with(Operation, 'CompanyLink') OR starts_with(Operation, 'SecureLink')
              OR Operation = 'AddedToSecureLink' THEN true END AS fileSharingEnabled
FROM record
